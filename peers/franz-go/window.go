// A window of a file, mapped for writing: what is stored in it is in the page cache at once, whatever becomes of the
// process.

package main

import (
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// faultAheadBytes is how far ahead of the writing pages are made present, and how many bytes at a time.
	faultAheadBytes = 64 << 10
	// pageBytes is the smallest page of any supported machine; touching more often than needed does no harm.
	pageBytes = 4 << 10
)

// window is a mapped stretch of a file.
type window struct {
	bytes []byte
	// present is how many bytes of it have pages that are present and writable.
	present int
	// touch is true once the kernel has said that it does not know MADV_POPULATE_WRITE (Linux before 5.14).
	touch bool
}

// openWindow maps length bytes from offset, a multiple of the page size. They must be allocated.
func openWindow(file *os.File, offset int64, length int) (*window, error) {
	bytes, err := unix.Mmap(int(file.Fd()), offset, length, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	return &window{bytes: bytes}, nil
}

// close unmaps it.
func (w *window) close() error {
	return os.NewSyscallError("munmap", unix.Munmap(w.bytes))
}

// faultInBehind makes the pages behind position present, so that no store up to the next call faults. The bytes there are
// not used yet.
func (w *window) faultInBehind(position int) {
	if w.present >= min(position+faultAheadBytes, len(w.bytes)) {
		return
	}
	from := upToPage(max(w.present, position))
	to := min(upToPage(position+2*faultAheadBytes), len(w.bytes))
	if from < to {
		if !w.touch {
			w.touch = unix.Madvise(w.bytes[from:to], unix.MADV_POPULATE_WRITE) != nil
		}
		if w.touch {
			for at := from; at < to; at += pageBytes {
				w.bytes[at] = 0
			}
		}
	}
	w.present = to
}

// commit stores a frame's length at position, a multiple of 8, after all that was stored before: the frame counts from
// here on. Both machines that this runs on (amd64, arm64) are little-endian, as the format is.
func (w *window) commit(position int, length uint32) {
	atomic.StoreUint32((*uint32)(unsafe.Pointer(&w.bytes[position])), length)
}

func upToPage(at int) int {
	return (at + pageBytes - 1) &^ (pageBytes - 1)
}
