//! What a connection tells the subscribers of the `tracing` crate: a span for each connection, and the one way into it. Nothing at all without the feature `tracing`.

use crate::role::Role;

/// The target of every span and event: what subscribers filter by.
#[cfg(feature = "tracing")]
pub(crate) const TARGET: &str = "ssh_proto";

/// The span of a connection. Events name it as their parent, rather than that it be entered: most
/// calls have nothing to tell.
pub(crate) struct Trace {
    #[cfg(feature = "tracing")]
    span: tracing::Span,
}

#[cfg(feature = "tracing")]
impl Trace {
    pub(crate) fn new(role: Role) -> Self {
        let role = match role {
            Role::Client => "client",
            Role::Server => "server",
        };
        // Of the level that is seen wherever anything is.
        let span = tracing::error_span!(target: TARGET, "connection", role);
        Self { span }
    }

    pub(crate) fn span(&self) -> &tracing::Span {
        &self.span
    }
}

#[cfg(not(feature = "tracing"))]
impl Trace {
    pub(crate) fn new(_: Role) -> Self {
        Self {}
    }
}

/// An event of a connection: `event!(trace, LEVEL, fields.., "text")`, with fields as in `tracing`,
/// which are evaluated only if somebody listens.
#[cfg(feature = "tracing")]
macro_rules! event {
    ($trace:expr, $level:ident, $($fields:tt)+) => {
        tracing::event!(
            target: $crate::trace::TARGET,
            parent: $trace.span(),
            tracing::Level::$level,
            $($fields)+
        )
    };
}

#[cfg(not(feature = "tracing"))]
macro_rules! event {
    ($trace:expr, $($ignored:tt)+) => {{
        let _ = $trace;
    }};
}

pub(crate) use event;
