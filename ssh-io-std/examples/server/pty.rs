//! A pseudo-terminal: opened, sized and set to the modes that the client asks for (RFC 4254 sections 6.2 and 8).

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{
    ControlModes, InputModes, LocalModes, OptionalActions, OutputModes, SpecialCodeIndex, Termios,
    Winsize, tcgetattr, tcsendbreak, tcsetattr, tcsetwinsize,
};
use ssh_proto::Pty as PtyRequest;

/// A terminal that no program runs on yet: our end and the program's.
#[derive(Debug)]
pub(crate) struct Pty {
    pub(crate) terminal: Terminal,
    pub(crate) slave: OwnedFd,
    /// The path of the program's end.
    pub(crate) name: OsString,
    /// The value of `TERM`.
    pub(crate) term: OsString,
}

impl Pty {
    /// Opens a terminal as the client wants it.
    pub(crate) fn open(request: &PtyRequest) -> io::Result<Self> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let name = OsString::from_vec(ptsname(&master, Vec::new())?.into_bytes());
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let slave = open(name.as_os_str(), flags, Mode::empty())?;
        let terminal = Terminal(master);
        terminal.resize(request.columns, request.rows, request.width, request.height)?;
        let mut termios = tcgetattr(&slave)?;
        for (opcode, argument) in &request.modes {
            set_mode(&mut termios, *opcode, *argument);
        }
        tcsetattr(&slave, OptionalActions::Now, &termios)?;
        Ok(Self {
            terminal,
            slave,
            name,
            term: OsStr::from_bytes(&request.term).to_owned(),
        })
    }
}

/// Our end of a terminal.
#[derive(Debug)]
pub(crate) struct Terminal(pub(crate) OwnedFd);

impl Terminal {
    /// Sets the size, in characters and pixels; the program gets `SIGWINCH`.
    pub(crate) fn resize(
        &self,
        columns: u32,
        rows: u32,
        width: u32,
        height: u32,
    ) -> io::Result<()> {
        let short = |size: u32| u16::try_from(size).unwrap_or(u16::MAX);
        let size = Winsize {
            ws_row: short(rows),
            ws_col: short(columns),
            ws_xpixel: short(width),
            ws_ypixel: short(height),
        };
        Ok(tcsetwinsize(&self.0, size)?)
    }

    /// Sends a break.
    pub(crate) fn send_break(&self) -> io::Result<()> {
        Ok(tcsendbreak(&self.0)?)
    }

    /// What to type so that the program reads the end of its input; `None` where it reads raw
    /// and there is no such thing.
    pub(crate) fn end_of_input(&self) -> Option<u8> {
        let termios = tcgetattr(&self.0).ok()?;
        let code = termios.special_codes[SpecialCodeIndex::VEOF];
        (termios.local_modes.contains(LocalModes::ICANON) && code != DISABLED).then_some(code)
    }
}

/// `_POSIX_VDISABLE`: a special character that is not there.
const DISABLED: u8 = if cfg!(target_os = "linux") { 0 } else { 255 };

/// Sets the mode of this opcode (RFC 4254 section 8, RFC 8160). Unknown ones have no effect.
fn set_mode(termios: &mut Termios, opcode: u8, argument: u32) {
    type Index = SpecialCodeIndex;
    let on = argument != 0;
    let code = match opcode {
        1 => Some(Index::VINTR),
        2 => Some(Index::VQUIT),
        3 => Some(Index::VERASE),
        4 => Some(Index::VKILL),
        5 => Some(Index::VEOF),
        6 => Some(Index::VEOL),
        7 => Some(Index::VEOL2),
        8 => Some(Index::VSTART),
        9 => Some(Index::VSTOP),
        10 => Some(Index::VSUSP),
        12 => Some(Index::VREPRINT),
        13 => Some(Index::VWERASE),
        14 => Some(Index::VLNEXT),
        18 => Some(Index::VDISCARD),
        _ => None,
    };
    if let Some(code) = code {
        // 255 means that there is no such character.
        let byte = u8::try_from(argument).ok().filter(|byte| *byte != 255);
        termios.special_codes[code] = byte.unwrap_or(DISABLED);
        return;
    }
    let input = |termios: &mut Termios, mode| termios.input_modes.set(mode, on);
    let output = |termios: &mut Termios, mode| termios.output_modes.set(mode, on);
    let local = |termios: &mut Termios, mode| termios.local_modes.set(mode, on);
    match opcode {
        30 => input(termios, InputModes::IGNPAR),
        31 => input(termios, InputModes::PARMRK),
        32 => input(termios, InputModes::INPCK),
        33 => input(termios, InputModes::ISTRIP),
        34 => input(termios, InputModes::INLCR),
        35 => input(termios, InputModes::IGNCR),
        36 => input(termios, InputModes::ICRNL),
        38 => input(termios, InputModes::IXON),
        39 => input(termios, InputModes::IXANY),
        40 => input(termios, InputModes::IXOFF),
        41 => input(termios, InputModes::IMAXBEL),
        #[cfg(target_os = "linux")]
        42 => input(termios, InputModes::IUTF8),
        50 => local(termios, LocalModes::ISIG),
        51 => local(termios, LocalModes::ICANON),
        53 => local(termios, LocalModes::ECHO),
        54 => local(termios, LocalModes::ECHOE),
        55 => local(termios, LocalModes::ECHOK),
        56 => local(termios, LocalModes::ECHONL),
        57 => local(termios, LocalModes::NOFLSH),
        58 => local(termios, LocalModes::TOSTOP),
        59 => local(termios, LocalModes::IEXTEN),
        60 => local(termios, LocalModes::ECHOCTL),
        61 => local(termios, LocalModes::ECHOKE),
        62 => local(termios, LocalModes::PENDIN),
        70 => output(termios, OutputModes::OPOST),
        72 => output(termios, OutputModes::ONLCR),
        73 => output(termios, OutputModes::OCRNL),
        74 => output(termios, OutputModes::ONOCR),
        75 => output(termios, OutputModes::ONLRET),
        90 if on => set_size(termios, ControlModes::CS7),
        91 if on => set_size(termios, ControlModes::CS8),
        92 => termios.control_modes.set(ControlModes::PARENB, on),
        93 => termios.control_modes.set(ControlModes::PARODD, on),
        // A speed that the system does not have stays as it is.
        128 => drop(termios.set_input_speed(argument)),
        129 => drop(termios.set_output_speed(argument)),
        _ => {}
    }
}

fn set_size(termios: &mut Termios, size: ControlModes) {
    termios.control_modes.remove(ControlModes::CSIZE);
    termios.control_modes.insert(size);
}

#[cfg(test)]
mod tests {
    use rustix::termios::tcgetwinsize;

    use super::*;

    fn open(modes: &[(u8, u32)]) -> Pty {
        let request = PtyRequest {
            term: "vt100".into(),
            columns: 132,
            rows: 100_000,
            width: 0,
            height: 1,
            modes: modes.to_vec(),
        };
        Pty::open(&request).unwrap()
    }

    #[test]
    fn sizes_arrive_and_saturate() {
        let pty = open(&[]);
        let size = tcgetwinsize(&pty.slave).unwrap();
        assert_eq!((size.ws_col, size.ws_row), (132, u16::MAX));
        assert_eq!((size.ws_xpixel, size.ws_ypixel), (0, 1));
        pty.terminal.resize(80, 24, 0, 0).unwrap();
        assert_eq!(tcgetwinsize(&pty.slave).unwrap().ws_col, 80);
    }

    #[test]
    fn modes_are_applied() {
        let modes = [
            (1, 7),
            (2, 255),
            (53, 0),
            (72, 0),
            (36, 1),
            (90, 1),
            (129, 9600),
            (37, 1),
        ];
        let termios = tcgetattr(&open(&modes).slave).unwrap();
        assert_eq!(termios.special_codes[SpecialCodeIndex::VINTR], 7);
        assert_eq!(termios.special_codes[SpecialCodeIndex::VQUIT], DISABLED);
        assert!(!termios.local_modes.contains(LocalModes::ECHO));
        assert!(!termios.output_modes.contains(OutputModes::ONLCR));
        assert!(termios.input_modes.contains(InputModes::ICRNL));
        assert_eq!(termios.output_speed(), 9600);
    }

    #[test]
    fn the_end_of_input_is_typed_only_where_lines_are_read() {
        assert_eq!(open(&[(5, 4)]).terminal.end_of_input(), Some(4));
        assert_eq!(open(&[(5, 255)]).terminal.end_of_input(), None);
        assert_eq!(open(&[(51, 0)]).terminal.end_of_input(), None);
    }
}
