package drive

import (
	"errors"
	"fmt"
	"syscall"
)

// Errors on which callers branch.
var (
	ErrNotFormatted  = errors.New("drive: not formatted: the folder is missing or empty")
	ErrForeign       = errors.New("drive: the folder holds files that are not a drive's")
	ErrFormatted     = errors.New("drive: the folder holds a drive already")
	ErrCorruptHeader = errors.New("drive: the header is corrupt")
	ErrLocked        = errors.New("drive: locked: it is open already, here or in another process")
	ErrClosed        = errors.New("drive: closed")
	ErrReadOnly      = errors.New("drive: opened read-only")
	ErrTooLarge      = errors.New("drive: larger than the limit")

	// ErrFull: no space. Nothing of the request was acknowledged. Try again once
	// Usage shows room.
	ErrFull = errors.New("drive: full")
	// ErrFailed: the write side failed time after time and gave up until the next
	// Open. Reads go on.
	ErrFailed = errors.New("drive: writes failed")
	// ErrWrite: a write or sync failed, nothing of the request was acknowledged,
	// and the extent was retired. A further Append tries a new extent.
	ErrWrite = errors.New("drive: write failed")
	// ErrCorrupt: the bytes at the address are not those that were written there.
	// Repair them from other drives.
	ErrCorrupt = errors.New("drive: corrupt")
	// ErrGone: there is no such extent, or it has been recycled.
	ErrGone = errors.New("drive: extent is gone")
	// ErrBusy: more requests wait than may.
	ErrBusy = errors.New("drive: queue is full")
	// ErrActive: the extent is still appended to. Seal its class first.
	ErrActive = errors.New("drive: extent is active")
	// ErrRootVersion: the root record there is as new or newer.
	ErrRootVersion = errors.New("drive: root version is not higher")
)

// FormatVersionError: the drive was written in a format that this program does
// not read. Nothing of it was interpreted.
type FormatVersionError struct {
	File       string // header, root, …
	Found      uint32
	Understood uint32
}

// ErrFormatVersion matches every FormatVersionError.
var ErrFormatVersion = errors.New("drive: another format version")

func (e *FormatVersionError) Error() string {
	return fmt.Sprintf("drive: the %s has format %d; this program understands %d", e.File, e.Found, e.Understood)
}

func (e *FormatVersionError) Is(target error) bool { return target == ErrFormatVersion }

func isNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
