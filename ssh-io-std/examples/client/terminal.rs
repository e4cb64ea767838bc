//! The local terminal: raw mode, its size and modes for the other side (RFC 4254 section 8), and prompts without echo.

use std::env;
use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;

use rustix::termios::{
    ControlModes, InputModes, LocalModes, OptionalActions, OutputModes, SpecialCodeIndex as Code,
    Termios, tcgetattr, tcgetwinsize, tcsetattr,
};
use ssh_proto::Pty;

/// A terminal that is given its former modes back when this is dropped.
pub(crate) struct Raw<F: AsFd> {
    terminal: F,
    before: Termios,
}

impl<F: AsFd> Raw<F> {
    pub(crate) fn enter(terminal: F) -> io::Result<Self> {
        let before = tcgetattr(&terminal)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&terminal, OptionalActions::Drain, &raw)?;
        Ok(Self { terminal, before })
    }
}

impl<F: AsFd> Drop for Raw<F> {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.terminal, OptionalActions::Drain, &self.before);
    }
}

/// Columns, rows, and both in pixels.
pub(crate) fn size(terminal: impl AsFd) -> (u32, u32, u32, u32) {
    tcgetwinsize(terminal).map_or((0, 0, 0, 0), |size| {
        (
            size.ws_col.into(),
            size.ws_row.into(),
            size.ws_xpixel.into(),
            size.ws_ypixel.into(),
        )
    })
}

/// What to ask the server for, so that its terminal is like ours.
pub(crate) fn pty(terminal: impl AsFd) -> Pty {
    let (columns, rows, width, height) = size(&terminal);
    Pty {
        term: env::var("TERM").unwrap_or_default().into(),
        columns,
        rows,
        width,
        height,
        modes: tcgetattr(&terminal)
            .map(|modes| encode(&modes))
            .unwrap_or_default(),
    }
}

fn encode(modes: &Termios) -> Vec<(u8, u32)> {
    let codes = [
        (1, Code::VINTR),
        (2, Code::VQUIT),
        (3, Code::VERASE),
        (4, Code::VKILL),
        (5, Code::VEOF),
        (6, Code::VEOL),
        (7, Code::VEOL2),
        (8, Code::VSTART),
        (9, Code::VSTOP),
        (10, Code::VSUSP),
        (12, Code::VREPRINT),
        (13, Code::VWERASE),
        (14, Code::VLNEXT),
        (18, Code::VDISCARD),
    ];
    let input = [
        (30, InputModes::IGNPAR),
        (31, InputModes::PARMRK),
        (32, InputModes::INPCK),
        (33, InputModes::ISTRIP),
        (34, InputModes::INLCR),
        (35, InputModes::IGNCR),
        (36, InputModes::ICRNL),
        (38, InputModes::IXON),
        (39, InputModes::IXANY),
        (40, InputModes::IXOFF),
        (41, InputModes::IMAXBEL),
    ];
    let local = [
        (50, LocalModes::ISIG),
        (51, LocalModes::ICANON),
        (53, LocalModes::ECHO),
        (54, LocalModes::ECHOE),
        (55, LocalModes::ECHOK),
        (56, LocalModes::ECHONL),
        (57, LocalModes::NOFLSH),
        (58, LocalModes::TOSTOP),
        (59, LocalModes::IEXTEN),
        (60, LocalModes::ECHOCTL),
        (61, LocalModes::ECHOKE),
        (62, LocalModes::PENDIN),
    ];
    let output = [
        (70, OutputModes::OPOST),
        (72, OutputModes::ONLCR),
        (73, OutputModes::OCRNL),
        (74, OutputModes::ONOCR),
        (75, OutputModes::ONLRET),
    ];
    let control = [
        (90, ControlModes::CS7),
        (91, ControlModes::CS8),
        (92, ControlModes::PARENB),
        (93, ControlModes::PARODD),
    ];
    // 0 turns a character off here, 255 does in the protocol.
    let code = |code| match modes.special_codes[code] {
        0 => 255,
        byte => u32::from(byte),
    };
    let mut encoded: Vec<(u8, u32)> = codes.map(|(opcode, index)| (opcode, code(index))).into();
    encoded.extend(input.map(|(opcode, flag)| (opcode, modes.input_modes.contains(flag).into())));
    encoded.extend(local.map(|(opcode, flag)| (opcode, modes.local_modes.contains(flag).into())));
    encoded.extend(output.map(|(opcode, flag)| (opcode, modes.output_modes.contains(flag).into())));
    encoded
        .extend(control.map(|(opcode, flag)| (opcode, modes.control_modes.contains(flag).into())));
    encoded.push((128, modes.input_speed()));
    encoded.push((129, modes.output_speed()));
    encoded
}

/// Asks on the controlling terminal. `echo`: the answer may be seen.
pub(crate) fn ask(prompt: &str, echo: bool) -> io::Result<String> {
    let mut tty = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    let before = tcgetattr(&tty)?;
    let mut modes = before.clone();
    modes.local_modes.set(LocalModes::ECHO, echo);
    tcsetattr(&tty, OptionalActions::Flush, &modes)?;
    let answer = tty
        .write_all(prompt.as_bytes())
        .and_then(|()| line(&mut tty));
    tcsetattr(&tty, OptionalActions::Flush, &before)?;
    if !echo {
        tty.write_all(b"\n")?;
    }
    answer
}

/// Bytes of an answer.
const MAX_LINE: usize = 4096;

/// One line, read by the byte so that nothing behind it is taken.
pub(crate) fn line(source: &mut impl Read) -> io::Result<String> {
    // Room for all of it: growing would leave copies of a password behind.
    let mut line = Vec::with_capacity(MAX_LINE);
    let mut byte = [0];
    loop {
        match source.read(&mut byte)? {
            0 if line.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
            0 => break,
            _ if byte == *b"\n" => break,
            _ if line.len() >= MAX_LINE => return Err(io::ErrorKind::InvalidData.into()),
            _ => line.push(byte[0]),
        }
    }
    String::from_utf8(line).map_err(|_| io::ErrorKind::InvalidData.into())
}
