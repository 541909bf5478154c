//! The server inside a sandbox: processes as resources, files, and the duties of PID 1.

pub mod init;
pub mod process;
