package index

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/klauspost/compress/zstd"
)

func newMachine(t testing.TB, max uint64) *Machine {
	t.Helper()
	m, err := OpenMachine(MachineOptions{FS: vfs.NewMem(), Dir: "view", Identity: [16]byte{0xee}, CacheBytes: 1 << 20, requestsMax: max})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func entryAt(t testing.TB, sequence uint64, at time.Duration, txn Txn) LogEntry {
	t.Helper()
	b, err := Proposal{Txn: txn, Proposed: time.Unix(0, int64(at))}.Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	return LogEntry{Sequence: sequence, Data: b}
}

func putTxn(id byte, key string) Txn {
	return Txn{RequestID: RequestID{id}, Mutations: []Mutation{{Kind: Put, Key: []byte(key), Value: []byte("v")}}}
}

func applyOne(t testing.TB, m *Machine, e LogEntry) Applied {
	t.Helper()
	done, err := m.Apply([]LogEntry{e})
	if err != nil {
		t.Fatal(err)
	}
	return done[0]
}

func imageOf(t testing.TB, m *Machine) []byte {
	t.Helper()
	i, err := m.Image()
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	var b bytes.Buffer
	if err := i.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestRequestsAreRememberedByLogTime: an id is known for RequestKept of the
// proposers' clocks, of which the latest counts, and not longer.
func TestRequestsAreRememberedByLogTime(t *testing.T) {
	m := newMachine(t, 0)
	applyOne(t, m, entryAt(t, 1, time.Hour, putTxn(1, "a")))
	applyOne(t, m, entryAt(t, 2, time.Hour+RequestKept-1, putTxn(2, "b")))
	if !applyOne(t, m, entryAt(t, 3, time.Minute, putTxn(1, "a"))).Result.Repeated {
		t.Fatal("forgotten before its time")
	}
	if applyOne(t, m, entryAt(t, 4, time.Hour+RequestKept, putTxn(1, "a"))).Result.Repeated {
		t.Fatal("remembered beyond its time")
	}
	if !applyOne(t, m, entryAt(t, 5, 0, putTxn(1, "a"))).Result.Repeated {
		t.Fatal("the second one was not remembered")
	}
	applyOne(t, m, entryAt(t, 6, 100*time.Hour, putTxn(3, "c")))
	if m.state.requests != 1 {
		t.Fatalf("%d requests are kept after all but one expired", m.state.requests)
	}
}

// TestRememberedRequestsAreBounded: a clock that leapt ahead makes the table no
// larger than its bound, and the oldest go first.
func TestRememberedRequestsAreBounded(t *testing.T) {
	m := newMachine(t, 10)
	for n := range 100 {
		applyOne(t, m, entryAt(t, uint64(n+1), time.Hour+time.Duration(n)*time.Second, putTxn(byte(n+1), "a")))
		if m.state.requests > 11 {
			t.Fatalf("%d requests are kept", m.state.requests)
		}
	}
	if !applyOne(t, m, entryAt(t, 101, 0, putTxn(100, "a"))).Result.Repeated {
		t.Fatal("the newest was forgotten")
	}
	if applyOne(t, m, entryAt(t, 102, 0, putTxn(1, "a"))).Result.Repeated {
		t.Fatal("the oldest was kept")
	}
}

// TestMachinesAgreeHoweverEntriesAreGrouped compares whole images.
func TestMachinesAgreeHoweverEntriesAreGrouped(t *testing.T) {
	var entries []LogEntry
	for n := range 200 {
		txn := putTxn(byte(n%60+1), fmt.Sprint(n%13))
		switch n % 4 {
		case 1:
			txn.Conditions = []Condition{{Kind: KeyAbsent, Key: []byte(fmt.Sprint(n % 7))}}
		case 2:
			txn.Mutations = append(txn.Mutations, Mutation{Kind: DeleteRange, Key: []byte("3"), End: []byte("5")})
		case 3:
			txn.Mutations[0].Guard = &Condition{Kind: KeyExists, Key: []byte("4")}
		}
		entries = append(entries, entryAt(t, uint64(n+1), time.Duration(n)*20*time.Second, txn))
	}
	var want []byte
	for _, size := range []int{1, 2, 7, 200} {
		m := newMachine(t, 20)
		for from := 0; from < len(entries); from += size {
			if _, err := m.Apply(entries[from:min(from+size, len(entries))]); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := m.Apply(entries[150:]); err != nil { // again: passed over
			t.Fatal(err)
		}
		got := imageOf(t, m)
		if want == nil {
			want = got
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("groups of %d make another image than groups of 1", size)
		}
	}
}

// TestImageKeepsItsLayout prints a whole image with its meaning.
func TestImageKeepsItsLayout(t *testing.T) {
	m := newMachine(t, 0)
	applyOne(t, m, entryAt(t, 1, 2*time.Second, putTxn(0xaa, "key")))
	applyOne(t, m, entryAt(t, 2, 2*time.Second, Txn{Conditions: []Condition{{Kind: KeyExists, Key: []byte("x")}}}))
	want := []string{
		"54494d47", "02000000", // magic, version
		"01000000", "ee000000000000000000000000000000", // state: format, identity
		"0200000000000000", "0000000000000000", // applied, known after
		"0094357700000000", "0200000000000000", "0100000000000000", // log time, swept, requests
		"", // checksum
	}
	got := imageOf(t, m)
	head := ""
	for _, w := range want {
		head += w
	}
	if hex.EncodeToString(got[:imageHeaderBytes-4]) != head {
		t.Fatalf("header %x, want %s", got[:imageHeaderBytes-4], head)
	}
	body := "0409" + "6b6b6579" + "0100000000000000" + "76" +
		"0901" + "6f0000000000000002" + "01" + // 'o' 2 → nothing applied
		"1113" + "71aa000000000000000000000000000000" + "0094357700000000" + "0100000000000000" + "000100" + // 'q' id → time, sequence, whole of 1
		"1110" + "7200000000773594000000000000000001" + "aa000000000000000000000000000000" // 'r' time, sequence → id
	block := got[imageHeaderBytes : len(got)-imageTrailerBytes]
	stored, plain := binary.LittleEndian.Uint32(block), binary.LittleEndian.Uint32(block[8:])
	payload := expanded(t, block[12:])
	if hex.EncodeToString(payload) != body || int(plain) != len(payload) || int(stored) != len(block)-12 {
		t.Fatalf("%d of %d bytes, %d plain: payload\n%x, want\n%s", stored, len(block), plain, payload, body)
	}
	trailer := hex.EncodeToString(got[len(got)-imageTrailerBytes : len(got)-4])
	if trailer != "00000000"+"0100000000000000"+"0400000000000000" {
		t.Fatalf("trailer %s", trailer)
	}
}

// expanded is what a Zstandard frame holds.
func expanded(t *testing.T, frame []byte) []byte {
	t.Helper()
	z, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	plain, err := z.DecodeAll(frame, nil)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// imageOfVersion1 is what an earlier release made of the view of TestImageKeepsItsLayout.
const imageOfVersion1 = "54494d470100000001000000ee0000000000000000000000000000000200000000000000000000000000000000943577000000000200000000000000" +
	"010000000000000029bed5e8640000006e11cda604096b6b657901000000000000007609016f000000000000000201111371aa000000000000000000" +
	"0000000000000094357700000000010000000000000000010011107200000000773594000000000000000001aa000000000000000000000000000000" +
	"0000000001000000000000000400000000000000c2321495"

// TestAnImageOfVersion1IsStillRead, and so are the damages of one found.
func TestAnImageOfVersion1IsStillRead(t *testing.T) {
	image, err := hex.DecodeString(imageOfVersion1)
	if err != nil {
		t.Fatal(err)
	}
	m, to := newMachine(t, 0), newMachine(t, 0)
	applyOne(t, m, entryAt(t, 1, 2*time.Second, putTxn(0xaa, "key")))
	s, err := readImage(bytes.NewReader(image), [16]byte{0xee}, to.db)
	if err != nil || s.applied != 2 {
		t.Fatalf("%+v, %v", s, err)
	}
	want, err := m.Get([]byte("key"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := to.Get([]byte("key")); err != nil || string(got.Value) != string(want.Value) || got.Version != want.Version {
		t.Fatalf("%+v, %v, want %+v", got, err, want)
	}
	for i := range image {
		damaged := bytes.Clone(image)
		damaged[i] ^= 1 << (i % 8)
		if _, err := readImage(bytes.NewReader(damaged), [16]byte{0xee}, to.db); !errors.Is(err, ErrImage) {
			t.Fatalf("byte %d flipped: got %v, want ErrImage", i, err)
		}
	}
}

// A block whose checksum is right and that is not what it says: too large, or cut.
func TestABlockThatExpandsToSomethingElseIsRefused(t *testing.T) {
	m := newMachine(t, 0)
	applyOne(t, m, entryAt(t, 1, time.Second, putTxn(1, "key")))
	image, to := imageOf(t, m), newMachine(t, 0)
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]struct {
		plain uint32
		frame []byte
	}{
		"larger than said":    {10, z.EncodeAll(make([]byte, 11), nil)},
		"smaller than said":   {12, z.EncodeAll(make([]byte, 11), nil)},
		"larger than allowed": {imageBlockMax, z.EncodeAll(make([]byte, imageBlockMax+1), nil)},
		"said to be too much": {imageBlockMax + 1, z.EncodeAll(make([]byte, 11), nil)},
		"said to be nothing":  {0, z.EncodeAll(nil, nil)},
		"no frame":            {11, make([]byte, 11)},
	} {
		stored := append(binary.LittleEndian.AppendUint32(nil, block.plain), block.frame...)
		b := binary.LittleEndian.AppendUint32(bytes.Clone(image[:imageHeaderBytes]), uint32(len(block.frame)))
		b = append(binary.LittleEndian.AppendUint32(b, blockSum(0, stored)), stored...)
		if _, err := readImage(bytes.NewReader(b), [16]byte{0xee}, to.db); !errors.Is(err, ErrImage) || !strings.Contains(err.Error(), "block 0") {
			t.Errorf("%s: got %v, want ErrImage of block 0", name, err)
		}
	}
}

// TestDamagedImageIsRefused: any flipped bit, any cut and any addition.
func TestDamagedImageIsRefused(t *testing.T) {
	m := newMachine(t, 0)
	for n := range 20 {
		applyOne(t, m, entryAt(t, uint64(n+1), time.Second, putTxn(byte(n+1), fmt.Sprint(n))))
	}
	image := imageOf(t, m)
	to := newMachine(t, 0)
	read := func(b []byte) error {
		_, err := readImage(bytes.NewReader(b), [16]byte{0xee}, to.db)
		return err
	}
	if err := read(image); err != nil {
		t.Fatal(err)
	}
	for i := range image {
		damaged := bytes.Clone(image)
		damaged[i] ^= 1 << (i % 8)
		if err := read(damaged); !errors.Is(err, ErrImage) {
			t.Fatalf("byte %d flipped: got %v, want ErrImage", i, err)
		}
		if err := read(image[:i]); !errors.Is(err, ErrImage) {
			t.Fatalf("cut to %d bytes: got %v, want ErrImage", i, err)
		}
	}
	if err := read(append(bytes.Clone(image), 0)); !errors.Is(err, ErrImage) {
		t.Fatalf("with a byte more: got %v, want ErrImage", err)
	}
	if _, err := readImage(bytes.NewReader(image), [16]byte{1}, to.db); !errors.Is(err, ErrImage) {
		t.Fatalf("another store's: got %v, want ErrImage", err)
	}
}

func FuzzReadImage(f *testing.F) {
	m := newMachine(f, 0)
	applyOne(f, m, entryAt(f, 1, time.Second, putTxn(1, "key")))
	f.Add(imageOf(f, m))
	to := newMachine(f, 0)
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := readImage(bytes.NewReader(b), [16]byte{0xee}, to.db); err != nil && !errors.Is(err, ErrImage) {
			t.Fatalf("got %v, want ErrImage", err)
		}
	})
}

// TestOutlivedRequestsAreReplacedBeforeTheyAreSwept: sweeps come once a second.
func TestOutlivedRequestsAreReplacedBeforeTheyAreSwept(t *testing.T) {
	m := newMachine(t, 0)
	applyOne(t, m, entryAt(t, 1, time.Hour+time.Second/2, putTxn(1, "a")))
	applyOne(t, m, entryAt(t, 2, time.Hour+RequestKept, putTxn(0, "b")))
	if applyOne(t, m, entryAt(t, 3, time.Hour+RequestKept+time.Second/2, putTxn(1, "a"))).Result.Repeated {
		t.Fatal("remembered beyond its time")
	}
	if m.state.requests != 1 {
		t.Fatalf("%d requests are counted, want 1", m.state.requests)
	}
	applyOne(t, m, entryAt(t, 4, time.Hour+RequestKept+2*time.Second, putTxn(0, "c")))
	if !applyOne(t, m, entryAt(t, 5, 0, putTxn(1, "a"))).Result.Repeated {
		t.Fatal("the second one was swept with the first")
	}
}

// A view that another store made is never taken for one's own.
func TestAViewOfAnotherStoreIsRefused(t *testing.T) {
	o := MachineOptions{FS: vfs.NewMem(), Dir: "view", Identity: [16]byte{1}, CacheBytes: 1 << 20}
	m, err := OpenMachine(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	o.Identity = [16]byte{2}
	if m, err = OpenMachine(o); !errors.Is(err, errView) {
		t.Errorf("opened: %v", err)
	}
	if m != nil {
		_ = m.Close()
	}
}

// Whoever meets an image of a later version learns that it is one.
func TestAnImageOfALaterVersionIsRefusedByItsVersion(t *testing.T) {
	image := imageOf(t, newMachine(t, 0))
	binary.LittleEndian.PutUint32(image[4:], imageVersion+1)
	binary.LittleEndian.PutUint32(image[imageHeaderBytes-4:], crc32.Checksum(image[:imageHeaderBytes-4], castagnoli))
	_, err := readImage(bytes.NewReader(image), [16]byte{0xee}, newMachine(t, 0).db)
	if !errors.Is(err, ErrImage) || !strings.Contains(err.Error(), fmt.Sprintf("version %d", imageVersion+1)) {
		t.Errorf("%v", err)
	}
}

// A snapshot may see a batch a moment before Applied tells of it; whoever watches from there is not told that it lies ahead.
func TestAWatchMayBeginAtASnapshotThatIsAMomentAhead(t *testing.T) {
	m := newMachine(t, 10)
	for n := range uint64(3) {
		applyOne(t, m, entryAt(t, n+1, 0, putTxn(byte(n+1), "k")))
	}
	m.applied.Store(2) // the moment between the two
	known, through, err := m.Known()
	if err != nil || known != 0 || through != 3 {
		t.Fatalf("entries after %d through %d are known, %v; want those after 0 through 3", known, through, err)
	}
	f := NewFeed(0, 2, nil)
	if _, err := f.Watch(At(0, 3), 1, through); err != nil {
		t.Errorf("watch at 3: %v", err)
	}
	if _, err := f.Watch(At(0, 4), 1, through); !errors.Is(err, ErrPosition) {
		t.Errorf("watch at 4, which is ahead of all: %v", err)
	}
}
