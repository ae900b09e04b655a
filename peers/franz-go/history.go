// The history: what this subject says it did, appended while it does it; the format is verifier/src/history.rs.
//
//	file  = "STFHIST2" · end word · frame(header) · frame(entry) · ... · frame(end)
//	frame = length u32 · crc u32 · body · zeros to the next multiple of 8, little-endian
//	crc   = CRC-32C over the frame's number in the file (u64), its length (u32) and its body
//	end word = 0 while the writer lives; then file length / 8 (u32) and its CRC-32C (u32)
//
// Why it survives SIGKILL: the file is mapped, and a frame's body and checksum are stored before its length. Why it does
// not disturb: space is allocated 16 MiB at a time (so a full disk is an error and not SIGBUS) and made present ahead of
// the writing, so that no page fault falls between a record's due time and its hand-over.

package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	historyMagic = "STFHIST2"
	// preambleBytes is what stands before the first frame: the magic and the end word.
	preambleBytes = 16
	// frameHeaderBytes is what stands in a frame before its body.
	frameHeaderBytes = 8
	// maxBodyBytes is the longest body of a frame.
	maxBodyBytes = 1 << 20
	// chunkBytes is how much the file grows at a time.
	chunkBytes = 16 << 20
	// maxPageBytes: windows begin at multiples of the largest page size of the supported machines (arm64 has 64 KiB).
	maxPageBytes = 64 << 10
	// maxFileBytes: the end word counts units of 8 bytes in 32 bits.
	maxFileBytes = (1<<32 - 1) * 8
)

// history is the writing end.
type history struct {
	file   *os.File
	window *window
	// offset is where the window begins in the file, position where the next frame goes in the window.
	offset   int64
	position int
	// number is that of the next frame.
	number uint64
	body   []byte
}

// createHistory makes the file, which must not be there yet, and writes the header.
func createHistory(w *Workload) (*history, error) {
	header, err := json.Marshal(struct {
		Worker        uint16          `json:"worker"`
		Incarnation   uint32          `json:"incarnation"`
		Seed          uint64          `json:"seed"`
		Workload      json.RawMessage `json:"workload"`
		StartedNs     uint64          `json:"started_ns"`
		StartedWallMs int64           `json:"started_wall_ms"`
	}{w.Worker, w.Incarnation, w.Seed, w.text, monotonicNs(), time.Now().UnixMilli()})
	if err != nil {
		return nil, err
	}
	body := append([]byte{kindHeader}, header...)
	if len(body) > maxBodyBytes {
		return nil, errors.New("the workload is too long for a history")
	}
	start := append([]byte(historyMagic), make([]byte, 8+frameBytes(len(body)))...)
	frame := start[preambleBytes:]
	binary.LittleEndian.PutUint32(frame, uint32(len(body)))
	binary.LittleEndian.PutUint32(frame[4:], frameChecksum(0, body))
	copy(frame[frameHeaderBytes:], body)

	file, err := os.OpenFile(w.History, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err
	}
	if _, err := file.Write(start); err != nil {
		return nil, err
	}
	h := &history{file: file, number: 1}
	if err := h.open(0, chunkBytes, len(start)); err != nil {
		return nil, err
	}
	return h, nil
}

// handedOver records that a run of records, first and those after it, is about to be given to the client; called before
// the client gets them. After an error what was asked for is not in the file, so the records must not be handed over.
func (h *history) handedOver(first uint64, intendedNs []uint64, handoverNs uint64) error {
	h.body = putHandedOver(h.body[:0], first, intendedNs, handoverNs)
	return h.append()
}

// completed records outcomes: at most maxRecordsPerEntry.
func (h *history) completed(c *completed) error {
	h.body = putCompleted(h.body[:0], c)
	return h.append()
}

// withheld records that these were due and are given up before the client got them.
func (h *history) withheld(w *withheld) error {
	h.body = putWithheld(h.body[:0], w)
	return h.append()
}

// finish writes the end entry, cuts the file to its size and says in the end word that it is whole.
func (h *history) finish() error {
	h.body = putEnd(h.body[:0], h.number)
	if err := h.append(); err != nil {
		return err
	}
	length := h.length()
	if err := h.window.close(); err != nil {
		return err
	}
	if err := h.file.Truncate(length); err != nil {
		return err
	}
	var word [8]byte
	binary.LittleEndian.PutUint32(word[:], uint32(length/8))
	binary.LittleEndian.PutUint32(word[4:], crc32.Checksum(word[:4], castagnoli))
	if _, err := h.file.WriteAt(word[:], int64(len(historyMagic))); err != nil {
		return err
	}
	return h.file.Close()
}

// length is the bytes of the history so far.
func (h *history) length() int64 {
	return h.offset + int64(h.position)
}

// append stores the frame of h.body: body and checksum first, the length, which makes it count, last.
func (h *history) append() error {
	size := frameBytes(len(h.body))
	if h.position+size > len(h.window.bytes) {
		if err := h.grow(size); err != nil {
			return err
		}
	}
	frame := h.window.bytes[h.position : h.position+size]
	copy(frame[frameHeaderBytes:], h.body)
	binary.LittleEndian.PutUint32(frame[4:], frameChecksum(h.number, h.body))
	h.window.commit(h.position, uint32(len(h.body)))
	h.position += size
	h.number++
	h.window.faultInBehind(h.position)
	return nil
}

// grow moves the window on, so that it has room for a frame of size bytes.
func (h *history) grow(size int) error {
	next := h.length()
	offset := next - next%maxPageBytes
	length := max(int(next-offset)+size, chunkBytes)
	if offset+int64(length) > maxFileBytes {
		return errors.New("a history holds 32 GiB at most")
	}
	full := h.window
	if err := h.open(offset, length, int(next-offset)); err != nil {
		return err
	}
	return full.close()
}

// open allocates these bytes of the file and maps them; the next frame goes to position in them.
func (h *history) open(offset int64, length, position int) error {
	if err := allocate(h.file, offset, length); err != nil {
		return err
	}
	window, err := openWindow(h.file, offset, length)
	if err != nil {
		return err
	}
	h.window, h.offset, h.position = window, offset, position
	window.faultInBehind(position)
	return nil
}

// allocate allocates these bytes on disk; new ones are zero. A file system that cannot gets zeros written instead.
func allocate(file *os.File, offset int64, length int) error {
	err := unix.Fallocate(int(file.Fd()), 0, offset, int64(length))
	for err == unix.EINTR {
		err = unix.Fallocate(int(file.Fd()), 0, offset, int64(length))
	}
	if err != unix.EOPNOTSUPP {
		return os.NewSyscallError("fallocate", err)
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	from, end := max(info.Size(), offset), offset+int64(length)
	if from >= end {
		return nil
	}
	_, err = file.WriteAt(make([]byte, end-from), from)
	return err
}

// frameChecksum is the checksum of frame number with this body.
func frameChecksum(number uint64, body []byte) uint32 {
	var head [12]byte
	binary.LittleEndian.PutUint64(head[:], number)
	binary.LittleEndian.PutUint32(head[8:], uint32(len(body)))
	return crc32.Update(crc32.Checksum(head[:], castagnoli), castagnoli, body)
}

// frameBytes is what a frame with a body of this length takes, padding included.
func frameBytes(body int) int {
	return frameHeaderBytes + (body+7)&^7
}
