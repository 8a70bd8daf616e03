package index

import (
	"context"
	"errors"
	"iter"
	"time"
)

// Limits of one entry. A larger one is refused with ErrTooLarge before
// anything is written.
const (
	MutationsMax  = 1000             // mutations and conditions together: 2 × this
	EntryBytesMax = 1 << 20          // of keys and values
	KeyBytesMax   = 4096             // of one key
	RequestKept   = 15 * time.Minute // how long a request id is remembered
)

var (
	// ErrNotFound: no such key.
	ErrNotFound = errors.New("index: no such key")
	// ErrTooLarge: the transaction passes MutationsMax, EntryBytesMax or KeyBytesMax.
	ErrTooLarge = errors.New("index: transaction too large")
	// ErrCompacted: the position lies before the log's kept part. Start from a Snapshot.
	ErrCompacted = errors.New("index: position is no longer kept")
	// ErrSnapshotExpired: the snapshot was held longer than its bound, of time or of
	// what was written meanwhile.
	ErrSnapshotExpired = errors.New("index: snapshot expired")
	// ErrReadOnly: too few drives are well to make an entry durable. Nothing was
	// written; retry once drives are back.
	ErrReadOnly = errors.New("index: read-only: too few drives for the journal")
	// ErrUnknown: the entry's fate is not known (the log failed while it was under
	// way). Committing it again with the same request id tells, and does not repeat it.
	// Such an error is never ErrReadOnly as well.
	ErrUnknown = errors.New("index: outcome unknown")
	// ErrClosed: the index was closed.
	ErrClosed = errors.New("index: closed")
)

// ConditionError says which condition of a transaction did not hold. Nothing
// of the transaction was applied.
type ConditionError struct {
	Condition int // its place in Txn.Conditions
	Key       []byte
}

func (e *ConditionError) Error() string {
	return "index: condition does not hold"
}

// Index is what a shard group offers, whether its log is a journal or Raft.
type Index interface {
	// Commit makes txn durable and applies it whole or not at all. A failed
	// condition is a *ConditionError. When ctx ends early the outcome is unknown
	// unless the error says otherwise; a retry with the same RequestID is safe.
	Commit(ctx context.Context, txn Txn) (Result, error)
	// Get reads the latest committed value of key. The value is the caller's.
	// Absent: ErrNotFound.
	Get(ctx context.Context, key []byte) (Item, error)
	// Scan yields the items of [lo, hi) in key order, or in reverse, as of one
	// moment after the call began. hi empty: to the end. The yielded slices are
	// valid only until the next step. It never pins state beyond the iteration.
	Scan(ctx context.Context, lo, hi []byte, o ScanOptions) iter.Seq2[Item, error]
	// Snapshot pins the present state. It ends by Close, or with
	// ErrSnapshotExpired after the bound that the index was opened with.
	Snapshot(ctx context.Context) (Snapshot, error)
	// Position is a read barrier: it covers every commit answered before the call.
	Position(ctx context.Context) (Position, error)
	// Watch delivers every applied entry after from, in order, without gap.
	// from empty: all that is still kept. Too old: ErrCompacted.
	Watch(ctx context.Context, from Position) (Watcher, error)
	// Close stops the index and waits for its goroutines.
	Close() error
}

// Item is one key with its value and its version. A key's version is the
// sequence of the entry that last put it: it never repeats and only grows.
type Item struct {
	Key     []byte
	Value   []byte
	Version uint64
}

// ScanOptions: the zero value scans forward without bound.
type ScanOptions struct {
	Reverse  bool
	KeysOnly bool // Value stays nil
}

// Snapshot is a pinned state.
type Snapshot interface {
	// Position of the snapshot: Watch from it delivers exactly what came after.
	Position() Position
	Get(ctx context.Context, key []byte) (Item, error)
	Scan(ctx context.Context, lo, hi []byte, o ScanOptions) iter.Seq2[Item, error]
	Close() error
}

// Watcher delivers entries. Next waits for the next one; its slices are shared
// by all watchers and must not be changed. After an error it delivers no more;
// ErrCompacted means that this watcher fell behind the kept part.
type Watcher interface {
	Next(ctx context.Context) (Entry, error)
	Close() error
}

// Entry is one applied transaction as a watcher sees it: only the mutations
// that took effect. Entries whose conditions failed are delivered with none,
// so that a follower's position always reaches the barrier.
type Entry struct {
	Position  Position // of the log just after this entry
	Version   uint64   // the version that its puts gave their keys
	RequestID RequestID
	Mutations []Mutation
}

// RequestID names a transaction for retries. The zero value means none.
type RequestID [16]byte

// Txn is one atomic change.
type Txn struct {
	RequestID  RequestID
	Conditions []Condition
	Mutations  []Mutation
}

// Result of a commit.
type Result struct {
	Position Position // of the log just after this entry
	Version  uint64   // the version of the keys it put
	Applied  []bool   // per mutation: false where its guard did not hold
	Repeated bool     // the request id was known: this is the first one's result
}

// ConditionKind says what a Condition demands.
type ConditionKind uint8

// The kinds of condition.
const (
	KeyAbsent  ConditionKind = 1 + iota // Key does not exist
	KeyExists                           // Key exists
	KeyVersion                          // Key exists with exactly Version
	RangeEmpty                          // no key in [Key, End)
)

// Condition must hold when the entry is applied.
type Condition struct {
	Kind    ConditionKind
	Key     []byte
	End     []byte // RangeEmpty only
	Version uint64 // KeyVersion only
}

// MutationKind says what a Mutation does.
type MutationKind uint8

// The kinds of mutation.
const (
	Put         MutationKind = 1 + iota // Key gets Value
	Delete                              // Key ceases to exist; absent is no error
	DeleteRange                         // every key in [Key, End) ceases to exist
)

// Mutation changes one key, or removes a range. With a Guard that does not hold at
// apply it is skipped, and Result.Applied says so; the rest goes on. Conditions
// and guards see the state before the transaction, never its own effects.
// Mutations take effect in order.
type Mutation struct {
	Kind  MutationKind
	Key   []byte
	End   []byte // DeleteRange only
	Value []byte // Put only
	Guard *Condition
	// Moved, Put only: the value names the same things as the former one, at other
	// places. It is put like any other; a watcher can tell it from news.
	Moved bool
}
