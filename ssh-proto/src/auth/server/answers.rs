//! The application's answers to what a server asks in authentication (RFC 4252 section 5.1): each fits one question, and one that does not changes nothing.

use core::mem;

use super::{Attempt, Server, ServerAsk, State, gssapi};
use crate::auth::{Authenticated, MethodSet, Restrictions};
use crate::error::{ApiMisuse, Error};
use crate::wire::auth::{UserauthFailure, UserauthPkOk, UserauthSuccess};
use crate::wire::outbox::Outbox;

impl Server {
    /// Answers a query: `USERAUTH_PK_OK` or `USERAUTH_FAILURE`.
    pub(crate) fn answer_query(&mut self, usable: bool, out: &mut Outbox) -> Result<(), Error> {
        let State::Query { algorithm, key } = &self.state else {
            return Err(ApiMisuse::WrongAnswer.into());
        };
        if !usable {
            return self.fail(false, out);
        }
        out.push(&UserauthPkOk {
            algorithm: algorithm.as_bytes(),
            key: key.as_blob(),
        });
        self.state = State::Ready;
        Ok(())
    }

    /// Verifies the signature that was asked about.
    pub(crate) fn verify(&mut self, out: &mut Outbox) -> Result<Option<ServerAsk>, Error> {
        match mem::replace(&mut self.state, State::Ready) {
            State::Unverified(claim) => self.judge(*claim, out),
            other => {
                self.state = other;
                Err(ApiMisuse::WrongAnswer.into())
            }
        }
    }

    /// Refuses the signature that was asked about, unverified.
    pub(crate) fn refuse(&mut self, out: &mut Outbox) -> Result<(), Error> {
        match self.state {
            State::Unverified(_) => self.fail(true, out),
            _ => Err(ApiMisuse::WrongAnswer.into()),
        }
    }

    /// Tightens what the attempt that is asked about may lead to. Forgotten if it fails.
    pub(crate) fn restrict(&mut self, more: &Restrictions) {
        if let State::Request { restrictions, .. } = &mut self.state {
            restrictions.tighten(more);
        }
    }

    /// Takes the proof that is asked about also from a security key that nobody touched.
    pub(crate) fn permit_absent_touch(&mut self) {
        if let State::Request {
            attempt: Attempt::PublicKey(proof) | Attempt::HostBased(proof),
            ..
        } = &mut self.state
        {
            proof.touch_is_due = false;
        }
    }

    /// Accepts a request: `USERAUTH_SUCCESS`, and the proof.
    ///
    /// A password that was to be changed does not succeed by itself any more (RFC 4252 section 8).
    pub(crate) fn accept(&mut self, out: &mut Outbox) -> Result<Authenticated, Error> {
        self.take_step()?;
        let user = self.user_name()?;
        self.state = State::Done;
        out.push(&UserauthSuccess {});
        let steps = mem::take(&mut self.steps);
        let restrictions = mem::take(&mut self.restrictions);
        Ok(Authenticated::new(user, steps, restrictions))
    }

    /// Accepts a request as one step of several: `USERAUTH_FAILURE` with partial success, and the
    /// methods that remain.
    pub(crate) fn accept_partial(
        &mut self,
        remaining: MethodSet,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        self.take_step()?;
        self.methods = remaining;
        self.state = State::Ready;
        out.push(&UserauthFailure {
            methods: remaining.to_name_list(),
            partial_success: true,
        });
        Ok(())
    }

    /// Counts the request that is asked about among what was proven, where that may be.
    fn take_step(&mut self) -> Result<(), ApiMisuse> {
        let State::Request {
            attempt,
            restrictions,
            ..
        } = &self.state
        else {
            return Err(ApiMisuse::WrongAnswer);
        };
        if self.change.is_some() && matches!(attempt, Attempt::Password) {
            return Err(ApiMisuse::WrongAnswer);
        }
        let step = attempt.step().ok_or(ApiMisuse::WrongAnswer)?;
        let mut gathered = self.restrictions.clone();
        gathered.tighten(restrictions);
        if gathered.contradict() {
            return Err(ApiMisuse::WrongAnswer);
        }
        self.steps.push(step);
        self.restrictions = gathered;
        Ok(())
    }

    /// Rejects a request: `USERAUTH_FAILURE`. `methods` replaces the set that can continue.
    ///
    /// `LimitExceeded(AuthFailures)` if it was one too many; nothing is sent then.
    pub(crate) fn reject(
        &mut self,
        methods: Option<MethodSet>,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        let State::Request {
            attempt, counted, ..
        } = &self.state
        else {
            return Err(ApiMisuse::WrongAnswer.into());
        };
        if let Some(methods) = methods {
            self.methods = methods;
        }
        if matches!(attempt, Attempt::Gssapi(gssapi::Asked::ErrorToken)) {
            // The client has gone on, and would take it for the answer to its next request
            // (RFC 4462 section 3.9).
            self.state = State::Ready;
            return self.count_failure();
        }
        self.fail(*counted, out)
    }

    /// Remembers that the user of the request that is asked about is not known.
    pub(crate) fn note_unknown_user(&mut self) {
        self.trace.unknown_user = true;
    }
}
