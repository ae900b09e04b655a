//! Waking a sleeping driver from another thread: an eventfd in its epoll, written only when nobody has yet.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{EventfdFlags, eventfd};

/// One eventfd, with the memory of having been written.
pub(crate) struct Waker {
    fd: OwnedFd,
    woken: AtomicBool,
}

impl Waker {
    pub(crate) fn new() -> rustix::io::Result<Waker> {
        Ok(Waker {
            fd: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            woken: AtomicBool::new(false),
        })
    }

    /// Makes the next wait of the driver return at once. A syscall only if it was not woken already.
    pub(crate) fn wake(&self) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            // Fails only if the counter is full, and then it wakes anyhow.
            let _ = rustix::io::write(&self.fd, &1_u64.to_ne_bytes());
        }
    }

    /// To be called before looking at what the wake was for.
    pub(crate) fn clear(&self) {
        let mut counter = [0; 8];
        let _ = rustix::io::read(&self.fd, &mut counter);
        self.woken.store(false, Ordering::Release);
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
