//! The socket between an agent and a supervisor: packets, some with descriptors.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recv, recvmsg, sendmsg, socketpair,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The most descriptors that come with one packet: a file and three streams.
const DESCRIPTORS: usize = 4;
/// The longest packet: a message of an error with a path (4 KiB at most) in it, escaped.
const PACKET: usize = 32 * 1024;

/// A packet that was received.
pub(crate) struct Received<M> {
    pub(crate) message: M,
    pub(crate) descriptors: Vec<OwnedFd>,
}

/// Both ends. Neither is inherited by a child unless it is given to it.
pub(crate) fn pair() -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )
}

/// Sends a packet. `AGAIN` if it would have to wait; `PIPE` if the other side is gone.
pub(crate) fn send<M: Serialize>(
    socket: impl AsFd,
    message: &M,
    descriptors: &[BorrowedFd<'_>],
) -> rustix::io::Result<()> {
    let text = serde_json::to_vec(message).map_err(|_| Errno::INVAL)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(Errno::INVAL);
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    retry_on_intr(|| sendmsg(&socket, &[IoSlice::new(&text)], &mut ancillary, flags))?;
    Ok(())
}

/// Receives a packet; none if the other side is gone. `AGAIN` if there is none yet; `BADMSG` for one that is not
/// understood.
pub(crate) fn receive<M: DeserializeOwned>(socket: impl AsFd) -> rustix::io::Result<Option<Received<M>>> {
    let mut buffer = match length(&socket)? {
        Some(length) => vec![0; length],
        None => return Ok(None),
    };
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    despite_reset(|| {
        recvmsg(
            &socket,
            &mut [IoSliceMut::new(&mut buffer)],
            &mut ancillary,
            flags,
        )
    })?;
    let mut descriptors = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    let message = serde_json::from_slice(&buffer).map_err(|_| Errno::BADMSG)?;
    Ok(Some(Received { message, descriptors }))
}

/// Bytes of the packet that comes next, as recv(2) tells it without taking it; none if the other side is gone. Most have less than
/// a hundred: zeros for the longest would cost more than all else that is done with them.
fn length(socket: &impl AsFd) -> rustix::io::Result<Option<usize>> {
    let flags = RecvFlags::PEEK | RecvFlags::TRUNC | RecvFlags::DONTWAIT;
    match despite_reset(|| recv(socket, &mut [0_u8; 0], flags)) {
        Ok((_, 0)) => Ok(None), // No packet of ours is empty.
        Ok((_, length)) if length > PACKET => Err(Errno::MSGSIZE),
        Ok((_, length)) => Ok(Some(length)),
        Err(errno) => Err(errno),
    }
}

/// Calls the system again where a signal came, and where the other side went with packets unread: that is told once, before what it
/// has sent itself.
fn despite_reset<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    match retry_on_intr(&mut call) {
        Err(Errno::CONNRESET) => retry_on_intr(call),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::super::message::{Event, Order};
    use super::*;

    /// A signal that is sent to a command in the moment of its end.
    #[test]
    fn what_was_sent_arrives_though_the_sender_went_with_packets_unread() {
        let (here, there) = pair().unwrap();
        let events = [Event::Started { pid: 7 }, Event::NotItsToKill];
        for event in &events {
            send(&there, event, &[]).unwrap();
        }
        send(&here, &Order::Kill, &[]).unwrap();
        drop(there);
        for event in events {
            assert_eq!(receive::<Event>(&here).unwrap().unwrap().message, event);
        }
        assert!(receive::<Event>(&here).unwrap().is_none());
    }

    #[test]
    fn a_packet_brings_its_descriptors() {
        let (here, there) = pair().unwrap();
        let (mut reader, writer) = std::io::pipe().unwrap();
        send(&here, &Order::Start, &[writer.as_fd()]).unwrap();
        send(&here, &Order::Kill, &[]).unwrap();
        drop(writer);
        let first = receive::<Order>(&there).unwrap().unwrap();
        assert_eq!(first.message, Order::Start);
        for descriptor in first.descriptors {
            std::fs::File::from(descriptor).write_all(b"x").unwrap();
        }
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "x");
        let second = receive::<Order>(&there).unwrap().unwrap();
        assert_eq!((second.message, second.descriptors.len()), (Order::Kill, 0));
        assert_eq!(receive::<Order>(&there).map(|_| ()).unwrap_err(), Errno::AGAIN);
        drop(here);
        assert!(receive::<Order>(&there).unwrap().is_none());
        let event = Event::Started { pid: 1 };
        assert_eq!(send(&there, &event, &[]).unwrap_err(), Errno::PIPE);
    }
}
