//! Descriptors of pipes and terminals, read and written without blocking.
//!
//! A terminal's are held as tokio's types for pipes: these read, write and wait by nothing but read(2), write(2) and
//! epoll(7), which terminals know as well, and there is no other type in it that is safe to make of a descriptor.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use tokio::net::unix::pipe;

/// Where output is read.
pub(super) fn source(descriptor: OwnedFd) -> io::Result<pipe::Receiver> {
    set_nonblocking(&descriptor)?;
    pipe::Receiver::from_owned_fd_unchecked(descriptor)
}

/// Where input is written.
pub(super) fn sink(descriptor: OwnedFd) -> io::Result<pipe::Sender> {
    set_nonblocking(&descriptor)?;
    pipe::Sender::from_owned_fd_unchecked(descriptor)
}

fn set_nonblocking(descriptor: &OwnedFd) -> io::Result<()> {
    Ok(fcntl_setfl(
        descriptor,
        fcntl_getfl(descriptor)? | OFlags::NONBLOCK,
    )?)
}
