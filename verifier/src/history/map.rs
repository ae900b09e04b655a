//! The one `unsafe` of the workspace: a window of a file, mapped for writing.

use std::fs::File;
use std::io;

use memmap2::{Advice, MmapMut, MmapOptions};

/// How far ahead of the writing pages are faulted in, and how many bytes at a time.
const FAULT_AHEAD_BYTES: usize = 64 << 10;
/// The smallest page that any supported machine has; touching more often than needed does no harm.
const PAGE_BYTES: usize = 4 << 10;

/// A mapped window of a file. What is stored in it is in the page cache at once.
#[derive(Debug)]
pub(super) struct Window {
    map: MmapMut,
    /// Bytes of the window whose pages are present and writable.
    present: usize,
    /// False once the kernel has said that it does not know MADV_POPULATE_WRITE (Linux before 5.14).
    populate: bool,
}

impl Window {
    /// Maps `length` bytes from `offset` (a multiple of the page size). They must be allocated.
    #[allow(
        unsafe_code,
        reason = "a shared file mapping is what makes the history survive SIGKILL"
    )]
    pub(super) fn open(file: &File, offset: u64, length: usize) -> io::Result<Window> {
        // SAFETY: the mapping is undefined behaviour only if the file changes under it or shrinks. The writer made
        // this file anew under a name of its own and allocated these bytes; it alone writes to it, and cuts it only
        // after the window is gone. Readers open it for reading only.
        let map = unsafe { MmapOptions::new().offset(offset).len(length).map_mut(file)? };
        Ok(Window {
            map,
            present: 0,
            populate: true,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.map.len()
    }

    pub(super) fn bytes(&mut self) -> &mut [u8] {
        &mut self.map
    }

    /// Makes the pages behind `position` present, so that no store up to the next call faults. The bytes there are
    /// not used yet.
    pub(super) fn fault_in_behind(&mut self, position: usize) {
        if self.present >= (position + FAULT_AHEAD_BYTES).min(self.map.len()) {
            return;
        }
        let from = self.present.max(position).next_multiple_of(PAGE_BYTES);
        let to = (position + 2 * FAULT_AHEAD_BYTES)
            .next_multiple_of(PAGE_BYTES)
            .min(self.map.len());
        if from < to {
            self.populate = self.populate
                && self
                    .map
                    .advise_range(Advice::PopulateWrite, from, to - from)
                    .is_ok();
            if !self.populate {
                self.map[from..to]
                    .iter_mut()
                    .step_by(PAGE_BYTES)
                    .for_each(|byte| *byte = 0);
            }
        }
        self.present = to;
    }
}
