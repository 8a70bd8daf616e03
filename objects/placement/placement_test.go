package placement

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func id(n uint64) (s [16]byte) {
	binary.LittleEndian.PutUint64(s[:], n)
	return s
}

// folders is n drives, d of them on each device, one device a node.
func folders(n, perDevice int) Layout {
	var l Layout
	for i := range n {
		at := fmt.Sprint(i / perDevice)
		l = append(l, Drive{Number: uint16(i + 1), Node: at, Device: at, Well: true, Free: 1 << 30})
	}
	return l
}

func drawLayout(t *rapid.T) Layout {
	var l Layout
	label := func(of string, n int) string { return fmt.Sprint(of, rapid.IntRange(0, n).Draw(t, of)) }
	zones, racks, nodes := rapid.IntRange(0, 6).Draw(t, "zones"), rapid.IntRange(0, 3).Draw(t, "racks"), rapid.IntRange(0, 3).Draw(t, "nodes")
	for i := range rapid.IntRange(1, 24).Draw(t, "drives") {
		l = append(l, Drive{
			Number: uint16(i + 1), Zone: label("zone", zones), Rack: label("rack", racks), Node: label("node", nodes),
			Device: rapid.SampledFrom([]string{"", "sda", "sdb", "sdc"}).Draw(t, "device"),
			Well:   rapid.IntRange(0, 5).Draw(t, "well") > 0, Free: rapid.Int64Range(0, 1<<40).Draw(t, "free"),
		})
	}
	return l
}

func TestShardsGoToDistinctWellDrivesInAsManyDomainsAsThereAre(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawLayout(t)
		k, m := rapid.IntRange(1, 8).Draw(t, "k"), rapid.IntRange(0, 4).Draw(t, "m")
		if rapid.Bool().Draw(t, "groups") {
			l = l.InGroups(l.Regroup(nil, k+m, m))
		}
		got := l.Choose(id(rapid.Uint64().Draw(t, "stripe")), k+m, m)
		w := l.well()
		n := min(k+m, len(w))
		if len(got) != n {
			t.Fatalf("%d drives chosen of %d well ones for %d shards", len(got), len(w), k+m)
		}
		chosen := l.subset(got)
		if len(chosen) != n || len(chosen.well()) != n {
			t.Fatalf("%v: a drive was chosen twice, or is not well", got)
		}
		at := w.safe(n, m)
		for _, shards := range chosen.sizes(at) {
			if shards > w.most(at, n) {
				t.Fatalf("a %s holds %d shards, need not hold more than %d", at, shards, w.most(at, n))
			}
		}
	})
}

func (l Layout) subset(numbers []uint16) (some Layout) {
	for _, d := range l {
		if slices.Contains(numbers, d.Number) {
			some = append(some, d)
		}
	}
	return some
}

// The oracle kills the fullest domains of many stripes.
func TestTheReportPromisesNoMoreThanEveryStripeKeeps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawLayout(t)
		k, m := rapid.IntRange(1, 8).Draw(t, "k"), rapid.IntRange(0, 4).Draw(t, "m")
		if rapid.Bool().Draw(t, "groups") {
			l = l.InGroups(l.Regroup(nil, k+m, m))
		}
		r := l.Assess(k, m)
		if r.Shards < k {
			return
		}
		for stripe := range uint64(20) {
			chosen := l.subset(l.Choose(id(stripe), k+m, m))
			for at := range levels {
				var full []int
				full = append(full, chosen.sizes(at)...)
				slices.Sort(full)
				slices.Reverse(full)
				lost := 0
				for _, shards := range full[:min(r.Domains[at].Tolerated, len(full))] {
					lost += shards
				}
				if left := len(chosen) - lost; left < k {
					t.Fatalf("%d %ss lost leave %d of %d shards: %+v", r.Domains[at].Tolerated, at, left, k, r)
				}
			}
		}
	})
}

func TestHeldDrivesAreNotChosenAgainAndCountInTheirDomains(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := folders(12, 2)
		stripe := id(rapid.Uint64().Draw(t, "stripe"))
		all := l.Choose(stripe, 6, 2)
		kept := slices.Clone(all[:4])
		for i := range l {
			if slices.Contains(all[4:], l[i].Number) {
				l[i].Well = false
			}
		}
		again := l.Choose(stripe, 2, 2, kept...)
		whole := l.subset(append(kept, again...))
		if len(again) != 2 || len(whole) != 6 {
			t.Fatalf("kept %v, again %v", kept, again)
		}
		for _, shards := range whole.sizes(Device) {
			if shards > 1 {
				t.Fatalf("a device holds %d shards though another is free", shards)
			}
		}
	})
}

func TestChoiceDependsOnNothingButItsArguments(t *testing.T) {
	l := folders(10, 1)
	for stripe := range uint64(50) {
		first := l.Choose(id(stripe), 6, 2)
		slices.Reverse(l)
		if again := l.Choose(id(stripe), 6, 2); !slices.Equal(first, again) {
			t.Fatalf("stripe %d: %v, then %v", stripe, first, again)
		}
	}
}

// Stripes are many and their ids fixed here, so the bounds hold always or never.
func TestShardsAreSpreadByFreeSpace(t *testing.T) {
	l := folders(8, 1)
	for i := range 4 {
		l[i].Free *= 3
	}
	count, first := map[uint16]int{}, map[uint16]int{}
	const stripes = 4000
	for stripe := range uint64(stripes) {
		got := l.Choose(id(stripe), 1, 0)
		count[got[0]]++
		first[l.Choose(id(stripe), 8, 2)[0]]++
	}
	for n := range uint16(8) {
		want := float64(stripes) / 16
		if n < 4 {
			want *= 3
		}
		if got := float64(count[n+1]); math.Abs(got-want) > want/5 {
			t.Errorf("drive %d got %v shards, its share is %v", n+1, got, want)
		}
		if first[n+1] == 0 {
			t.Errorf("drive %d never holds the first shard", n+1)
		}
	}
}

func TestReportNamesWhatMayBeLost(t *testing.T) {
	zones := folders(6, 1)
	for i := range zones {
		zones[i].Zone = fmt.Sprint(i / 2)
	}
	down := folders(6, 1)
	down[0].Well, down[1].Well, down[2].Well = false, false, false
	for _, c := range []struct {
		name   string
		layout Layout
		want   string
	}{
		{"six folders on one device", folders(6, 6), "6 drives on 1 device: the loss of one device is more than the parity covers; 2 drives may be lost"},
		{"six devices", folders(6, 1), "6 drives on 6 devices: 2 nodes may be lost"},
		{"three devices of two", folders(6, 2), "6 drives on 3 devices: 1 node may be lost"},
		{"three zones", zones, "6 drives on 6 devices: 1 zone may be lost"},
		{"three of six", down, "3 of 6 drives are well; 4 are needed to read"},
	} {
		if got := c.layout.Assess(4, 2).String(); got != c.want {
			t.Errorf("%s: %s", c.name, got)
		}
	}
}

func TestLevelsHaveNames(t *testing.T) {
	var names []string
	for at := range levels {
		names = append(names, at.String())
	}
	if got := strings.Join(names, " "); got != "zone rack node device folder" {
		t.Error(got)
	}
}

func BenchmarkChoose(b *testing.B) {
	l := folders(6, 6)
	for i := uint64(0); b.Loop(); i++ {
		l.Choose(id(i), 6, 2)
	}
}
