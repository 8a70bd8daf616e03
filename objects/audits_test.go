package objects

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/audit"
	"github.com/tarnlake/tarn/objects/drive"
	"github.com/tarnlake/tarn/objects/index/indextest"
)

// auditAll audits every drive from its beginning, one after the other.
func auditAll(t testing.TB, s *Store) (sum audit.Found) {
	t.Helper()
	if err := s.loadCursors(context.Background()); err != nil {
		t.Fatal(err)
	}
	slots := make(chan struct{}, 1)
	for _, m := range s.drives.list() {
		s.audits.mu.Lock()
		s.audits.asked[m.number] = true
		s.audits.mu.Unlock()
		if p := s.auditDue(m); p != nil {
			s.auditDrive(p, slots)
			sum = sum.Plus(p.pass.Found)
		}
	}
	return sum
}

// quietOptions keep everything in the background still.
func quietOptions(h *host.Host) Options {
	o := durableOptions(h)
	o.RepairPause, o.SweepPause, o.AuditPause = 9999*time.Hour, 9999*time.Hour, 9999*time.Hour
	return o
}

// Every shard on every drive is damaged in turn, where it lies: the audit finds it
// although nobody reads it, and repair makes it whole.
func TestAnAuditFindsEveryRottenShardAndNothingElse(t *testing.T) {
	h := hosttest.New(31)
	s := openDurable(t, quietOptions(h))
	keys := keepSome(t, s)
	if found := auditAll(t, s); found.Bad > 0 || found.Rot > 0 || found.Orphans > 0 || found.Shards == 0 {
		t.Fatalf("of a sound store: %+v", found)
	}
	r := rand.New(rand.NewPCG(3, 1))
	for _, key := range keys {
		for _, st := range stripesIn(t, s, key) {
			shard := r.IntN(len(st.Shards))
			rotShard(h, s, &st, shard, r)
			found := auditAll(t, s)
			if found.Bad != 1 || s.repairs.queued() != 1 {
				t.Fatalf("%s, shard %d: %+v, %d queued", key, shard, found, s.repairs.queued())
			}
			report, err := s.Repair(context.Background(), RepairOptions{trusting: true, queued: true})
			if err != nil || report.Healed != 1 || !report.Complete() {
				t.Fatalf("%s: %+v, %v", key, report, err)
			}
		}
	}
	allReadBack(t, s, keys)
	if found := auditAll(t, s); found.Bad > 0 {
		t.Errorf("after all repairs: %+v", found)
	}
	day, err := s.measures.over(context.Background(), hosttest.Epoch)
	if err != nil || day.Latent == 0 || day.BytesVerified == 0 || day.Repaired != day.Latent {
		t.Errorf("%+v, %v", day, err)
	}
	mustClose(t, s)
}

func stripesIn(t testing.TB, s *Store, key string) []Stripe {
	item, err := s.idx.Get(context.Background(), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	blobs, _, err := DecodeValue(item.Value)
	if err != nil {
		t.Fatal(err)
	}
	return blobs[0].Stripes
}

func extentPath(s *Store, sh Shard) string {
	return fmt.Sprintf("%s/extents/%08d.extent", s.drives.find(sh.Drive).path, sh.Address.Extent)
}

func rotShard(h *host.Host, s *Store, st *Stripe, shard int, r *rand.Rand) {
	sh := st.Shards[shard]
	payloadAt := int64(64 + 4)
	if st.ShardBytes() >= 64<<10 {
		payloadAt = drive.SectorBytes
	}
	off := int64(sh.Address.Sector)*drive.SectorBytes + payloadAt + int64(r.IntN(st.ShardBytes()-8))
	hosttest.DiskOf(h).Corrupt(extentPath(s, sh), off, 1)
}

// What a drive wrote elsewhere, or not at all, shows although no byte is rotten.
func TestAnAuditFindsWhatTheIndexNamesAndTheDriveLacks(t *testing.T) {
	s, mem := newMemStore(t, Options{Host: hosttest.New(1)}, indextest.New(t), 7)
	keys := keepSome(t, s)
	lost := mem[3]
	lost.with(func() { // a lost write, and a misdirected one
		for e, records := range lost.extents {
			if len(records) > 1 {
				records[0] = records[1]
				lost.extents[e] = records[:len(records)-1]
			}
		}
	})
	found := auditAll(t, s)
	if found.Bad == 0 || s.repairs.queued() == 0 {
		t.Fatalf("%+v", found)
	}
	if _, err := s.Repair(context.Background(), RepairOptions{trusting: true, queued: true}); err != nil {
		t.Fatal(err)
	}
	if again := auditAll(t, s); again.Bad > 0 {
		t.Errorf("after the repair: %+v", again)
	}
	allReadBack(t, s, keys)
}

func TestAnAuditCountsWhatNobodyNamesAndLeavesItAlone(t *testing.T) {
	h := hosttest.New(1)
	s, mem := newMemStore(t, Options{Host: h}, indextest.New(t), 6)
	keep(t, s, 300_000, 1)
	dead := keep(t, s, 300_000, 2)
	forget(t, s, dead)
	sealAll(mem)
	before := extentCount(mem)
	hosttest.ClockOf(h).Advance(s.o.StageKept)
	mustWrite(t, s, body(300_000, 3)) // young: it may yet be committed
	found := auditAll(t, s)
	if found.Orphans != 6 || found.Shards != 6 || found.Bad != 0 {
		t.Errorf("%+v", found)
	}
	if extentCount(mem) < before {
		t.Error("an audit removed something")
	}
}

func TestAnAuditFindsAndHealsTheDrivesOwnFiles(t *testing.T) {
	h := hosttest.New(33)
	s := openDurable(t, quietOptions(h))
	keys := keepSome(t, s)
	for _, file := range []string{"drive-1/root", "drive-2/header"} {
		hosttest.DiskOf(h).Corrupt(file, 20, 1)
	}
	auditAll(t, s)
	_, _, problems := s.Audits()
	if len(problems) != 2 {
		t.Errorf("%+v", problems)
	}
	for _, m := range s.drives.list() {
		if err := m.CheckFiles(); err != nil {
			t.Error(err)
		}
	}
	allReadBack(t, s, keys)
	mustClose(t, s)
}

func TestAnAuditHealsRotInTheJournal(t *testing.T) {
	h := hosttest.New(34)
	s := openDurable(t, quietOptions(h))
	keys := keepSome(t, s)
	_, holders, _ := s.journal.Epoch()
	m := s.drives.find(holders[0])
	for _, e := range m.Extents() {
		if e.Class == drive.Journal {
			hosttest.DiskOf(h).Corrupt(fmt.Sprintf("%s/extents/%08d.extent", m.path, e.Number), 600, 1)
			break
		}
	}
	if found := auditAll(t, s); found.Rot == 0 {
		t.Fatalf("%+v", found)
	}
	if found := auditAll(t, s); found.Rot > 0 {
		t.Errorf("after the next epoch: %+v", found)
	}
	allReadBack(t, s, keys)
	mustClose(t, s)
}

// An extent of which nothing can be read when the drive is opened shows in the
// audit, is rebuilt elsewhere, and is given back.
func TestAnUnreadableExtentShowsIsRebuiltAndGivenBack(t *testing.T) {
	h := hosttest.New(35)
	o := quietOptions(h)
	s := openDurable(t, o)
	keys := []string{keep(t, s, 300_000, 1)}
	sh := stripesIn(t, s, keys[0])[0].Shards[2]
	path := extentPath(s, sh)
	mustClose(t, s)
	hosttest.DiskOf(h).Corrupt(path, 20, 1)
	for off := int64(512); off < 4<<10; off += 512 {
		hosttest.DiskOf(h).Corrupt(path, off+20, 1)
	}
	s = openDurable(t, o)
	number := sh.Drive
	unread := func() (n int) {
		for _, e := range s.drives.find(number).Extents() {
			if e.Class == 0 {
				n++
			}
		}
		return n
	}
	if unread() == 0 {
		t.Fatal("the extent is still recognised: it was not rotten enough")
	}
	if found := auditAll(t, s); found.Bad == 0 || found.Rot == 0 {
		t.Fatalf("%+v", found)
	}
	if _, err := s.Repair(context.Background(), RepairOptions{trusting: true, queued: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sweep(context.Background()); err != nil || unread() > 0 {
		t.Errorf("%d unreadable extents are left, %v", unread(), err)
	}
	allReadBack(t, s, keys)
	mustClose(t, s)
}

// A pass goes on after a restart, and both together see every shard once.
func TestAnAuditGoesOnAfterARestart(t *testing.T) {
	h := hosttest.New(36)
	o := quietOptions(h)
	o.ExtentBytes = 256 << 10
	s := openDurable(t, o)
	for seed := range uint64(8) {
		keep(t, s, 300_000, seed)
	}
	all := auditAll(t, s)
	before := s.audits.cursors[1]
	m := s.drives.find(1)
	p := s.auditing(m, audit.Cursor{Drive: before.Drive, Passes: before.Passes})
	stopped := 0
	p.step = func() {
		if stopped++; stopped == 12 {
			p.stop()
		}
	}
	s.auditDrive(p, make(chan struct{}, 1))
	part := p.pass.Found
	c := p.pass.Cursor
	p.kept = time.Time{}
	if err := p.Keep(context.Background(), c, true); err != nil || c.Began.IsZero() {
		t.Fatalf("%+v, %v", c, err)
	}
	mustClose(t, s)
	s = openDurable(t, o)
	if err := s.loadCursors(context.Background()); err != nil {
		t.Fatal(err)
	}
	if s.audits.cursors[1] != c {
		t.Fatalf("%+v came back as %+v", c, s.audits.cursors[1])
	}
	p = s.auditDue(s.drives.find(1))
	s.auditDrive(p, make(chan struct{}, 1))
	if rest := p.pass.Found; rest.Bytes >= usedBytes(p.m) || rest.Shards == 0 || s.audits.cursors[1].Passes != before.Passes+1 {
		t.Errorf("before %+v, after %+v, all drives %+v, %+v", part, rest, all, s.audits.cursors[1])
	}
	if _, _, problems := s.Audits(); len(problems) > 0 {
		t.Errorf("%+v", problems)
	}
	mustClose(t, s)
}

// The ledger has an entry for every acknowledged stripe that cannot be read, loses
// it when the bytes are proved to be back or their user deletes them, and at no
// other time.
func TestTheLedgerIsExact(t *testing.T) {
	ctx := context.Background()
	s, mem := newMemStore(t, Options{Host: hosttest.New(1)}, indextest.New(t), 6)
	keys := []string{keep(t, s, 300_000, 1), keep(t, s, 300_000, 2), keep(t, s, 5000, 3)}
	for _, d := range mem[:3] {
		d.with(func() { d.readErr = drive.ErrCorrupt })
	}
	_, _ = s.Repair(ctx, RepairOptions{Verify: true})
	want := uint64(600_000)
	list, stripes, lost, err := s.Losses(ctx, 10)
	if small := stripesIn(t, s, keys[2])[0]; s.readable(ctx, &small) == false {
		want += 5000
	}
	if err != nil || lost != want || len(list) != int(stripes) || !strings.Contains(list[0].Cause, "shard") {
		t.Fatalf("%d bytes in %d entries, want %d: %+v, %v", lost, stripes, want, list, err)
	}
	_, _ = s.Repair(ctx, RepairOptions{Verify: true})
	if _, again, _, _ := s.Losses(ctx, 10); again != stripes {
		t.Errorf("%d entries became %d", stripes, again)
	}
	forget(t, s, keys[0])
	for _, d := range mem[:3] {
		d.with(func() { d.readErr = nil })
	}
	if err := s.settleLosses(ctx); err != nil {
		t.Fatal(err)
	}
	if _, open, _, _ := s.Losses(ctx, 10); open != 0 {
		t.Errorf("%d entries are open", open)
	}
	day, err := s.measures.over(ctx, hosttest.Epoch)
	if err != nil || day.LostBytes != want || day.DeletedBytes != 300_000 || day.ReturnedBytes != want-300_000 {
		t.Errorf("%+v, %v", day, err)
	}
}
