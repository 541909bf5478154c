//! Whether a program runs without anything of an image, and on which machine: from the first bytes of its ELF file.
//!
//! <https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html>

use std::fmt;

/// How many bytes of a file are enough: its header, and the program headers that linkers put right behind it.
pub(super) const PREFIX: usize = 4096;

const MAGIC: &[u8] = b"\x7fELF";
const CLASS_64: u8 = 2;
const LITTLE_ENDIAN: u8 = 1;
/// `e_machine` of x86-64 and of AArch64.
const X86_64: u16 = 62;
const AARCH64: u16 = 183;
/// `p_type` of the path of an interpreter, which is the dynamic linker.
const INTERPRETER: u32 = 3;
/// Bytes of one program header of the 64-bit form.
const PROGRAM_HEADER: usize = 56;

/// A machine that an agent is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Machine {
    X86_64,
    Aarch64,
}

/// Why a file is no static program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotStatic {
    #[error("it is no ELF program of 64 bits")]
    NoProgram,
    #[error("it is built for another machine (ELF machine {0}) than x86-64 and AArch64")]
    Machine(u16),
    #[error("it needs a dynamic linker, which images have of their own or not at all: build it static")]
    Dynamic,
    #[error("its header can't be read")]
    Damaged,
}

impl Machine {
    /// What `uname -m` says on such a machine.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The machine of the static program whose file begins with `bytes`, of which there are [`PREFIX`] if the file has as many.
pub(crate) fn machine_of_static(bytes: &[u8]) -> Result<Machine, NotStatic> {
    if bytes.get(..4) != Some(MAGIC) || bytes.get(4..6) != Some(&[CLASS_64, LITTLE_ENDIAN]) {
        return Err(NotStatic::NoProgram);
    }
    let machine = match u16_at(bytes, 18)? {
        X86_64 => Machine::X86_64,
        AARCH64 => Machine::Aarch64,
        other => return Err(NotStatic::Machine(other)),
    };
    let table = usize::try_from(u64_at(bytes, 32)?).map_err(|_| NotStatic::Damaged)?;
    let (size, count) = (usize::from(u16_at(bytes, 54)?), usize::from(u16_at(bytes, 56)?));
    if size < PROGRAM_HEADER || count == 0 {
        return Err(NotStatic::Damaged);
    }
    for index in 0..count {
        let at = index
            .checked_mul(size)
            .and_then(|offset| table.checked_add(offset));
        if u32_at(bytes, at.ok_or(NotStatic::Damaged)?)? == INTERPRETER {
            return Err(NotStatic::Dynamic);
        }
    }
    Ok(machine)
}

fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], NotStatic> {
    let end = at.checked_add(N).ok_or(NotStatic::Damaged)?;
    let found = bytes.get(at..end).and_then(|found| found.try_into().ok());
    found.ok_or(NotStatic::Damaged)
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u16, NotStatic> {
    bytes_at(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, NotStatic> {
    bytes_at(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64, NotStatic> {
    bytes_at(bytes, at).map(u64::from_le_bytes)
}

/// A file with these program headers, by their type.
#[cfg(test)]
pub(crate) fn program(machine: u16, kinds: &[u32]) -> Vec<u8> {
    let mut bytes = vec![0; 64];
    bytes[..4].copy_from_slice(MAGIC);
    (bytes[4], bytes[5]) = (CLASS_64, LITTLE_ENDIAN);
    bytes[18..20].copy_from_slice(&machine.to_le_bytes());
    bytes[32] = 64;
    bytes[54..56].copy_from_slice(&u16::try_from(PROGRAM_HEADER).unwrap_or_default().to_le_bytes());
    bytes[56..58].copy_from_slice(&u16::try_from(kinds.len()).unwrap_or_default().to_le_bytes());
    for kind in kinds {
        bytes.extend_from_slice(&kind.to_le_bytes());
        bytes.extend_from_slice(&[0; PROGRAM_HEADER - 4]);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOAD: u32 = 1;
    /// Of a static position-independent program too.
    const DYNAMIC: u32 = 2;

    #[test]
    fn a_static_program_is_one_of_its_machine() {
        let machine = |machine| machine_of_static(&program(machine, &[LOAD, LOAD, DYNAMIC]));
        assert_eq!(machine(X86_64), Ok(Machine::X86_64));
        assert_eq!(machine(AARCH64), Ok(Machine::Aarch64));
        assert_eq!(machine(40), Err(NotStatic::Machine(40)));
    }

    #[test]
    fn one_with_an_interpreter_is_none() {
        let dynamic = program(X86_64, &[LOAD, INTERPRETER, DYNAMIC]);
        assert_eq!(machine_of_static(&dynamic), Err(NotStatic::Dynamic));
    }

    #[test]
    fn other_files_are_refused() {
        for file in [b"".as_slice(), b"#!/bin/sh\n", b"\x7fELF", b"\x7fELF\x01\x01"] {
            assert_eq!(machine_of_static(file), Err(NotStatic::NoProgram), "{file:?}");
        }
        let whole = program(X86_64, &[LOAD, LOAD]);
        for length in 6..whole.len() - PROGRAM_HEADER + 4 {
            assert!(machine_of_static(&whole[..length]).is_err(), "{length}");
        }
        let mut far = whole.clone();
        far[32..40].fill(0xff);
        assert_eq!(machine_of_static(&far), Err(NotStatic::Damaged));
        let mut none = whole;
        none[56] = 0;
        assert_eq!(machine_of_static(&none), Err(NotStatic::Damaged));
    }

    /// Test programs are linked dynamically on every machine that tests run on.
    #[test]
    fn a_real_program_is_told() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(machine_of_static(&own[..PREFIX]), Err(NotStatic::Dynamic));
    }
}
