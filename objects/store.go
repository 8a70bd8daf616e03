package objects

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/objects/audit"
	"github.com/tarnlake/tarn/objects/drive"
	"github.com/tarnlake/tarn/objects/erasure"
	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/objects/index/journal"
)

// Options of Open. Host and Drives must be set.
type Options struct {
	Host   *host.Host
	Drives []string // folders
	Labels []Labels // of Drives, by their place; the zero value leaves a drive the labels that it has

	DataShards   int // k; default 4. Of an existing store: 0, or what it has.
	ParityShards int // m; default 2; -1: none

	// AutoFormat lets Open format folders that are empty: all of them for a new
	// store, or in place of drives that are missing. Only for folders that are
	// Tarn's own, for an unmounted disk looks the same.
	AutoFormat bool

	ExtentBytes     int64         // of a drive's extents; default 256 MiB
	CheckpointBytes int64         // of journal after which the index is checkpointed; default 64 MiB
	DriveTimeout    time.Duration // after which a drive is declared down; default 2 s
	HedgeDelay      time.Duration // after which at the latest a read asks other drives too; default 100 ms
	StripesInFlight int           // stripes being written at once; default 16
	CacheBytes      int64         // of the index's cache; default 64 MiB
	PartBytesMin    int64         // of every part of a multipart upload but the last; default 5 MiB
	StageKept       time.Duration // in which a written blob must be committed; default 1 h
	SnapshotKept    time.Duration // for which a snapshot of the index pins its state, and what that names; default 10 min
	SnapshotBytes   int64         // of journal that may come meanwhile; default 1 GiB
	ReadKept        time.Duration // for which a read that goes on keeps bytes that nothing names any more; default 1 h
	RepairPause     time.Duration // between two background repairs; default 5 s
	SweepPause      time.Duration // between two background sweeps; default 10 min
	PackPause       time.Duration // between two looks at what is to be packed; default 10 s
	PackBytesMin    int64         // of a bucket's small blobs: fewer wait for more where they are; default 64 KiB × DataShards
	JointLeast      int           // small blobs of a bucket that share a stripe from the start where so many wait at once; default 8; 1: each; -1: never
	TidyRate        int64         // bytes a second that packing, reclamation and balance move; default 64 MiB
	BalancePause    time.Duration // between two looks at how even the drives are; default 1 h
	Audit           time.Duration // in which every byte of every drive is read once; default 14 days
	AuditPause      time.Duration // between two looks at drives and at whether an audit is due; default 1 min
	BackgroundLeast int64         // bytes a second that repair and audit may take from users; default 16 MiB
	BackgroundMost  int64         // bytes a second that they take at most; default: no bound
	Events          Events

	// Still opens the store with its background still: drives are probed and what is alive is
	// counted, but nothing on the drives is changed of the store's own accord. Repair, packing,
	// reclamation, sweeps, drains, balances and audits wait until they are called for by name
	// (Repair, Pack, Reclaim, Sweep, Relocate), or until the store is opened without it. For a
	// look at a store as it is, and for tests whose premise a repair at open would end.
	Still bool

	// Admit lets a piece of background work begin, after users' requests; the function
	// that it returns ends it. nil: all begin at once.
	Admit func(ctx context.Context) (end func(), err error)

	reading          bool  // drives are opened read-only, and not locked: Check has them
	proveCounts      bool  // at every look: tests do
	balanceLeast     int64 // of a drive's excess, where a balance was asked for; default: the constant
	checkpointInRoot int   // bytes; default: the constant; tests take less
	watchKept        int64 // bytes of journal that are kept for watchers; default: that of package index
}

func (o *Options) setDefaults() {
	set(&o.DataShards, 4)
	set(&o.ParityShards, 2)
	o.ParityShards = max(o.ParityShards, 0)
	set(&o.DriveTimeout, driveTimeoutDefault)
	set(&o.HedgeDelay, 100*time.Millisecond)
	set(&o.StripesInFlight, 16)
	set(&o.PartBytesMin, PartBytesMin)
	set(&o.StageKept, time.Hour)
	set(&o.ReadKept, time.Hour)
	set(&o.RepairPause, 5*time.Second)
	set(&o.SweepPause, 10*time.Minute)
	set(&o.checkpointInRoot, checkpointInRoot)
	set(&o.balanceLeast, balanceLeast)
	set(&o.PackPause, 10*time.Second)
	set(&o.PackBytesMin, int64(o.DataShards)*packShardLeast)
	set(&o.JointLeast, jointLeast)
	set(&o.TidyRate, 64<<20)
	set(&o.BalancePause, time.Hour)
	set(&o.Audit, 14*24*time.Hour)
	set(&o.AuditPause, time.Minute)
	set(&o.BackgroundLeast, 16<<20)
}

const driveTimeoutDefault = 2 * time.Second

func set[T comparable](v *T, standard T) {
	var zero T
	if *v == zero {
		*v = standard
	}
}

// Events tell what the store does by itself. Each may be nil; they must not
// wait, nor call the store.
type Events struct {
	DriveDown   func(drive uint16, cause error) // it failed or did not answer in time
	DriveBack   func(drive uint16)
	Repaired    func(RepairReport, error)                                   // a background repair ended
	Packed      func(PackReport, error)                                     // a background packing ended
	Reclaimed   func(ReclaimReport, error)                                  // a background reclamation ended
	Swept       func(SweepReport, error)                                    // a background sweep ended
	ShardBad    func(stripe [16]byte, shard int, drive uint16, cause error) // a read met a bad shard
	Checkpoint  func(through uint64, err error)
	ViewRebuilt func(dir string, applied uint64)
	Moved       func(kind string, report RepairReport, err error) // a drain or a balance ended, or was cut off
	Committed   func(class drive.Class, records int, bytes int64) // records were synced together, on one drive
	Zeroed      func(bytes int64)                                 // an extent was made ready for records that it will have again and again
	Audited     func(drive uint16, found audit.Found, err error)  // an audit of a drive ended
}

func (e *Events) driveDown(n uint16, cause error) {
	if e.DriveDown != nil {
		e.DriveDown(n, cause)
	}
}

func (e *Events) driveBack(n uint16) {
	if e.DriveBack != nil {
		e.DriveBack(n)
	}
}

func (e *Events) shardBad(stripe [16]byte, shard int, drive uint16, cause error) {
	if e.ShardBad != nil {
		e.ShardBad(stripe, shard, drive, cause)
	}
}

// Store is the object layer over its drives.
type Store struct {
	host    *host.Host
	idx     index.Index
	o       Options
	code    *erasure.Code
	drives  drives
	pool    *erasure.Pool // stripes being written
	pins    pins
	group   smallGroup
	joints  joints
	gathers share // of large bodies being written
	aheads  share // of streams being read
	hedging hedging
	tidy    tidy
	pace    pace    // of packing and reclamation
	reads   tickets // streams and reads under way
	repairs repairs
	hints   hints
	tally   tally

	traffic  *traffic // of users, to which repair and audit give way
	measures measures
	audits   audits

	id        [16]byte
	roots     roots
	journal   *journal.Journal // the index's log; the index closes it
	repairing sync.Mutex       // one repair at a time
	sweeping  sync.Mutex       // one sweep at a time
	arranging sync.Mutex       // one change of the layout at a time
	moves     moves            // of shards, off drives that drain and for balance
	strange   sync.Mutex       // guards strays
	strays    []DriveStatus    // folders given that are no drives of the store

	life       context.Context // of background work; ends with Close
	end        context.CancelFunc
	background sync.WaitGroup // Close waits
	closing    sync.Once
}

// newStore is a store over an index and drives that are open, without its
// background work.
func newStore(o Options, idx index.Index, members []*member) (*Store, error) {
	o.setDefaults()
	code, err := erasure.New(o.DataShards, o.ParityShards)
	if err != nil {
		return nil, err
	}
	if code.Shards() > ShardsMax {
		return nil, fmt.Errorf("objects: %d+%d shards, at most %d", o.DataShards, o.ParityShards, ShardsMax)
	}
	s := &Store{host: o.Host, idx: idx, o: o, code: code}
	s.drives.all = members
	s.pool = erasure.NewPool(code, ShardBytesMax, o.StripesInFlight)
	s.pins.init()
	s.joints.init(s)
	s.gathers.bytes, s.aheads.bytes = gatherBytesMax, aheadBytesMax
	s.tidy.backlog.missed = true // what was not packed before
	s.pace.clock, s.pace.rate, s.pace.busy, s.pace.hurry = o.Host.Clock, o.TidyRate, s.busy, s.crowded
	s.roots.s = s
	s.repairs.init(o.Host.Clock.Now)
	s.moves.init()
	s.tally.init(s)
	s.hints.init()
	s.traffic = newTraffic(o.Host.Clock, o.BackgroundLeast, o.BackgroundMost)
	s.measures.init(s)
	s.audits.init()
	s.life, s.end = context.WithCancel(context.Background())
	return s, nil
}

// admit waits until a piece of background work may begin. end must be called.
func (s *Store) admit(ctx context.Context) (end func(), err error) {
	if s.o.Admit == nil {
		return func() {}, ctx.Err()
	}
	return s.o.Admit(ctx)
}

// Index is where the store keeps what exists.
func (s *Store) Index() index.Index { return committing{s.idx, &s.pins, &s.tidy.backlog, &s.reads} }

// Host is the outside world that the store was opened with.
func (s *Store) Host() *host.Host { return s.host }
