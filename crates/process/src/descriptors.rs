//! What a new process would inherit of this one's descriptors.

/// The first descriptor that is no standard stream.
const FIRST: i32 = 3;

/// Keeps the descriptors that this process was started with, but for the standard streams, from the processes it
/// starts; they stay open here (`/dev/fd/3` as an argument goes on to work).
///
/// For a program's first lines: the standard library and tokio open theirs so already, and a library must not decide
/// about its host's.
pub fn keep_descriptors_from_commands() {
    close_fds::set_fds_cloexec(FIRST, &[]);
}
