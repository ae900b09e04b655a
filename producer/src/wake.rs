//! Waking a sleeping driver from another thread: an eventfd in its epoll, written only if the driver may sleep.
//!
//! The driver arms the waker, then looks at what it may be woken for, then sleeps. So whoever leaves something after
//! that look finds the waker armed and writes; whoever leaves something while the driver is busy need not.

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

    /// Makes the driver's next or present sleep end at once. A syscall only if it is armed.
    pub(crate) fn wake(&self) {
        if !self.woken.swap(true, Ordering::SeqCst) {
            // Fails only if the counter is full, and then it wakes anyhow.
            let _ = rustix::io::write(&self.fd, &1_u64.to_ne_bytes());
        }
    }

    /// From now on a wake is wanted. To be called before looking for what there is to do.
    pub(crate) fn arm(&self) {
        self.woken.store(false, Ordering::SeqCst);
    }

    /// Takes the wake that has come.
    pub(crate) fn clear(&self) {
        let mut counter = [0; 8];
        // Empty if somebody else took it: nothing to do then.
        let _ = rustix::io::read(&self.fd, &mut counter);
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
