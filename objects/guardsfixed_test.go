package objects

import (
	"context"
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/drive"
)

// A store that is opened still leaves what is lacking lacking, for as long as one likes
// to look, and repairs when it is told to.
func TestAStillStoreRepairsNothingUntilItIsTold(t *testing.T) {
	o := spacious(90)
	o.AutoFormat = false
	if err := Format(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	s := openDurable(t, o)
	addSeven(t, s, 7, 7)
	keys := keepEverywhere(t, s)
	mustClose(t, s)
	hosttest.DiskOf(o.Host).Wipe("drive-3")
	repairs := 0
	o.Still, o.RepairPause, o.Events.Repaired = true, time.Second, func(RepairReport, error) { repairs++ }
	s = openDurable(t, o)
	defer func() { mustClose(t, s) }()
	lacking := func() int64 {
		held, err := s.Holdings(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return held[3].Shards
	}
	before := lacking()
	for range 100 {
		hosttest.ClockOf(o.Host).Advance(time.Minute)
	}
	if now := lacking(); before == 0 || now != before || repairs > 0 {
		t.Errorf("%d shards of the drive that was lost, then %d, after %d repairs", before, now, repairs)
	}
	if report, err := s.Repair(context.Background(), RepairOptions{}); err != nil || !report.Complete() || lacking() != 0 {
		t.Errorf("repair: %+v, %v; %d shards are still named there", report, err, lacking())
	}
	allReadBack(t, s, keys)
}

// A drive that was away while a root record was saved is given it before a repair.
func TestADriveThatMissedARootRecordIsGivenIt(t *testing.T) {
	o := durableOptions(hosttest.New(91))
	o.Still = true
	s := openDurable(t, o)
	defer mustClose(t, s)
	m := s.drives.find(3)
	m.set(DriveMissing, "pulled out")
	if err := s.roots.save(t.Context(), func(r *rootRecord) { r.next++ }); err != nil {
		t.Fatal(err)
	}
	m.set(DriveWell, "")
	newest := s.drives.find(1).Root().Version
	if m.Root().Version >= newest {
		t.Fatalf("it has version %d, others %d", m.Root().Version, newest)
	}
	s.roots.refresh(t.Context())
	record, err := decodeRoot(m.Root().Data)
	if m.Root().Version <= newest || err != nil || record.next != s.roots.get().next {
		t.Errorf("it has version %d, the others had %d: %v", m.Root().Version, newest, err)
	}
}

// A drive that takes writes and cannot sync them is not tried again with records.
func TestADriveThatCannotSyncTakesNoWrites(t *testing.T) {
	o := durableOptions(hosttest.New(92))
	o.Still = true
	s := openDurable(t, o)
	defer mustClose(t, s)
	disk := hosttest.DiskOf(o.Host)
	disk.SetFault(hosttest.Within("drive-3", syscall.EIO, hosttest.Sync))
	if err := s.tryWrite("drive-3"); !errors.Is(err, syscall.EIO) {
		t.Errorf("a folder whose syncs fail: %v", err)
	}
	disk.SetFault(nil)
	if err := s.tryWrite("drive-3"); err != nil {
		t.Errorf("a folder that is well: %v", err)
	}
}

// liar is a drive that reads something else than was written, and vouches for it.
type liar struct{ *memDrive }

func (d liar) Read(ctx context.Context, a drive.Address, id drive.Identity, p []byte, off int64) error {
	err := d.memDrive.Read(ctx, a, id, p, off)
	p[len(p)/2] ^= 1
	return err
}

// A shard found no place where it does not read back as itself.
func TestAShardIsNotPlacedWhereItReadsBackAsSomethingElse(t *testing.T) {
	s, mem := guarded(t)
	st := stripesIn(t, s, keep(t, s, 300_000, 1))[0]
	mover := s.newMover()
	defer mover.end()
	b := &rebuilding{m: mover, stripe: st}
	if _, err := b.place(t.Context(), 0, make([]byte, st.ShardBytes()), 1); err != nil {
		t.Fatal(err)
	}
	s.drives.find(1).Drive = liar{mem[0]}
	if at, err := b.place(t.Context(), 0, make([]byte, st.ShardBytes()), 1); err == nil {
		t.Errorf("placed at %v", at)
	}
}

// Of the drives that were lost together, more than a root record can miss, each comes back.
func TestAStoreThatLostNearlyAllDrivesTakesThemBack(t *testing.T) {
	h := hosttest.New(93)
	o := durableOptions(h)
	o.AutoFormat, o.DriveTimeout = false, 20*time.Second
	if err := Format(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	s := openDurable(t, o)
	defer func() { mustClose(t, s) }()
	keys := keepSome(t, s)
	stop := timePasses(h)
	defer stop()
	for _, folder := range sixFolders[:5] {
		hosttest.DiskOf(h).Fail(folder, errors.New("no such device"))
	}
	well := func() (n int) {
		for _, d := range s.Drives() {
			if d.State == DriveWell {
				n++
			}
		}
		return n
	}
	await(t, func() bool { return well() == 1 })
	if _, err := s.WriteBlob(context.Background(), strings.NewReader("x"), 1); !errors.Is(err, ErrReadOnly) {
		t.Errorf("a write on one drive: %v", err)
	}
	for _, folder := range sixFolders[:5] {
		hosttest.DiskOf(h).Fail(folder, nil)
	}
	await(t, func() bool { return well() == 6 })
	allReadBack(t, s, keys)
	await(t, func() bool { return commit(context.Background(), s, "again", mustWrite(t, s, body(5000, 5))) == nil })
	heal(t, s)
	allReadBack(t, s, keys)
	mustClose(t, s)
	s = openDurable(t, o)
	allReadBack(t, s, keys)
	wholeAgain(t, s)
}

// A drain of large objects tells how far it came long before a window of them is done.
func TestADrainTellsHowFarItCame(t *testing.T) {
	s := openDurable(t, spacious(94))
	defer mustClose(t, s)
	addSeven(t, s, 7, 7)
	for seed := range uint64(4 * tellEach) {
		keep(t, s, 5000, seed)
	}
	var told []int64
	r := s.relocation("drain", func(*Stripe) []int { return []int{0} })
	r.Progress = func(r RepairReport) { told = append(told, r.Healed) }
	report, err := s.Relocate(t.Context(), r)
	if err != nil || report.Healed == 0 {
		t.Fatalf("%+v, %v", report, err)
	}
	if len(told) < 5 || told[1] == 0 || told[1] >= report.Healed || !slices.IsSorted(told) {
		t.Errorf("of %d stripes it told %v", report.Healed, told)
	}
}

// Entries are copied where a new epoch of the journal begins. None begins by itself: puts,
// checkpoints and the trimming that follows them go on within one.
func TestNoEpochBeginsWhileOnlyPutsAndCheckpointsGoOn(t *testing.T) {
	o := durableOptions(hosttest.New(95))
	o.watchKept = 1 << 10
	s := openDurable(t, o)
	defer mustClose(t, s)
	began, _, _ := s.journal.Epoch()
	first := s.journal.First()
	for seed := range uint64(300) {
		keep(t, s, 900, seed)
		if seed%60 == 59 {
			mustCheckpoint(t, s)
		}
	}
	if now, _, sealed := s.journal.Epoch(); now != began || sealed != nil || s.journal.First() == first {
		t.Errorf("epoch %d, then %d (%v); kept from entry %d, then %d", began, now, sealed, first, s.journal.First())
	}
}
