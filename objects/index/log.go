package index

import (
	"context"
	"io"
	"iter"
)

// Log puts entries in one order and makes them durable. The journal implements
// it over m+1 drives. Sequences begin at 1.
//
// Append, Trim, Rest and Close are called by one goroutine at a time; Replay, First,
// Last and Bytes may be called beside them.
type Log interface {
	// Append makes entries durable before it returns and numbers them first,
	// first+1, … without gap.
	//
	// An error that is ErrReadOnly means that none of them was written or ever
	// will appear. After any other error their fate is open until the next Replay
	// that reaches its end without error: what it yields stands, and what it does
	// not yield will never appear, whatever crashes later. A prefix of the entries
	// may stand without the rest. The proposer appends nothing before that Replay.
	Append(ctx context.Context, entries [][]byte) (first uint64, err error)
	// Replay yields the entries with a sequence above after, in order and without
	// gap, up to the Last of the moment of the call. Data is valid until the next
	// step. ErrCompacted: an entry above after was trimmed.
	Replay(ctx context.Context, after uint64) iter.Seq2[LogEntry, error]
	// First and Last are the kept sequences; First is Last+1 where none is kept.
	First() uint64
	Last() uint64
	// Trim says that entries up to through need not be kept. They may stay kept
	// for a while, also across a restart.
	Trim(ctx context.Context, through uint64) error
	// Rest is called when no entry came for a while. The log may then note durably
	// that all it has was acknowledged, so that rot of the last entry cannot pass for
	// an append that was cut off. Nothing depends on it otherwise.
	Rest(ctx context.Context) error
	// Bytes is the size of the kept entries.
	Bytes() int64
	Close() error
}

// LogEntry is one durable entry.
type LogEntry struct {
	Sequence uint64
	Data     []byte
}

// Checkpoints keeps the newest whole image of the view, from which it is rebuilt
// where the log no longer reaches back. Package objects implements it over stripes.
type Checkpoints interface {
	// Save takes the image that write produces. On return it is durable, and Load
	// finds it from then on, after any crash. An error of write keeps the former one.
	Save(ctx context.Context, through uint64, write func(w io.Writer) error) error
	// Load opens the newest image, which covers the log through the sequence.
	// ErrNotFound where there is none.
	Load(ctx context.Context) (through uint64, r io.ReadCloser, err error)
}
