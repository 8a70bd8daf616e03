package placement

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestGroupsHoldEveryDriveOftenEnoughAndNoDomainTooOften(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawLayout(t)
		k, m := rapid.IntRange(1, 6).Draw(t, "k"), rapid.IntRange(0, 3).Draw(t, "m")
		n := k + m
		groups := l.Regroup(nil, n, m)
		checkGroups(t, l, groups, n, m)
		if again := l.Regroup(groups, n, m); !slices.EqualFunc(again, groups, func(a, b Group) bool { return slices.Equal(a, b) }) {
			t.Fatalf("nothing changed, and the groups did:\n%v\n%v", groups, again)
		}
		var after Layout // some leave, some come
		for _, d := range l {
			if rapid.IntRange(0, 4).Draw(t, "leaves") > 0 {
				after = append(after, d)
			}
		}
		for i := range rapid.IntRange(0, 6).Draw(t, "come") {
			d := l[rapid.IntRange(0, len(l)-1).Draw(t, "like")]
			d.Number = uint16(100 + i)
			after = append(after, d)
		}
		checkGroups(t, after, after.Regroup(groups, n, m), n, m)
	})
}

func checkGroups(t *rapid.T, l Layout, groups []Group, n, m int) {
	if len(l) < n {
		if groups != nil {
			t.Fatalf("%d drives, and groups %v of %d", len(l), groups, n)
		}
		return
	}
	in := map[uint16]int{}
	at := l.safe(n, m)
	for _, g := range groups {
		chosen := l.subset(g)
		if len(g) != n || len(chosen) != n || !slices.IsSorted(g) {
			t.Fatalf("group %v of %d drives", g, n)
		}
		for _, shards := range chosen.sizes(at) {
			if shards > l.most(at, n) {
				t.Fatalf("group %v has %d drives of one %s, need not have more than %d", g, shards, at, l.most(at, n))
			}
		}
		for _, d := range g {
			in[d]++
		}
	}
	for _, d := range l {
		if in[d.Number] == 0 {
			t.Fatalf("drive %d is in no group of %v", d.Number, groups)
		}
	}
	if len(groups) > len(l)*GroupsPerDrive {
		t.Fatalf("%d groups of %d drives", len(groups), len(l))
	}
}

func TestAStripeLiesInOneGroupWhileAllDrivesAreWell(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawLayout(t)
		for i := range l {
			l[i].Well = true
		}
		k, m := rapid.IntRange(1, 6).Draw(t, "k"), rapid.IntRange(0, 3).Draw(t, "m")
		groups := l.Regroup(nil, k+m, m)
		l = l.InGroups(groups)
		stripe := id(rapid.Uint64().Draw(t, "stripe"))
		for _, count := range []int{k + m, m + 1} {
			chosen := l.Choose(stripe, count, m)
			if groups != nil && !slices.ContainsFunc(groups, func(g Group) bool { return len(l.subset(chosen)) == count && subsetOf(chosen, g) }) {
				t.Fatalf("%d shards on %v, in none of the groups %v", count, chosen, groups)
			}
		}
	})
}

func subsetOf(some []uint16, g Group) bool {
	return !slices.ContainsFunc(some, func(n uint16) bool { return !slices.Contains(g, n) })
}

// A lost drive's shards go to as many others as it has groups, and all those of a
// group to the same one: the sets of drives stay few.
func TestRepairKeepsToFewSetsOfDrives(t *testing.T) {
	l := folders(24, 1)
	groups := l.Regroup(nil, 6, 2)
	l = l.InGroups(groups)
	l[4].Well = false
	sets, targets := map[string]bool{}, map[uint16]bool{}
	for stripe := range uint64(2000) {
		whole := l.InGroups(groups)
		for i := range whole {
			whole[i].Well = true
		}
		before := whole.Choose(id(stripe), 6, 2)
		at := slices.Index(before, l[4].Number)
		if at < 0 {
			continue
		}
		held := slices.Delete(slices.Clone(before), at, at+1)
		got := l.Choose(id(stripe), 1, 2, held...)
		after := append(held, got...)
		slices.Sort(after)
		key := make([]byte, 0, 12)
		for _, n := range after {
			key = binary.BigEndian.AppendUint16(key, n)
		}
		sets[string(key)], targets[got[0]] = true, true
	}
	if len(sets) > 2*GroupsPerDrive || len(targets) < 2 {
		t.Errorf("%d sets of drives, %d targets", len(sets), len(targets))
	}
}

// The figure of copysets: of all sets of m+1 drives that may fail together, the
// share that loses data, with very many stripes. Free choice loses some in nearly
// every case.
func TestGroupsMakeTheLossOfDataRareAmongLossesOfDrives(t *testing.T) {
	const drives, k, m, stripes = 48, 4, 2, 10_000
	l := folders(drives, 1)
	share := func(l Layout) float64 {
		lost := map[[3]uint16]bool{}
		for stripe := range uint64(stripes) {
			c := l.Choose(id(stripe), k+m, m)
			slices.Sort(c)
			for a := range c {
				for b := a + 1; b < len(c); b++ {
					for d := b + 1; d < len(c); d++ {
						lost[[3]uint16{c[a], c[b], c[d]}] = true
					}
				}
			}
		}
		return float64(len(lost)) / float64(drives*(drives-1)*(drives-2)/6)
	}
	free := share(l)
	groups := l.Regroup(nil, k+m, m)
	grouped := share(l.InGroups(groups))
	t.Logf("%d drives, %d+%d, %d stripes: the loss of 3 drives at once loses data in %.1f %% of cases when drives are chosen freely, in %.1f %% with %d groups (scatter width %d)",
		drives, k, m, stripes, 100*free, 100*grouped, len(groups), scatter(groups, 1))
	if free < 0.99 || grouped > 0.05 {
		t.Errorf("free %.3f, grouped %.3f", free, grouped)
	}
	if n := scatter(groups, 1); n < 3*(k+m-1) {
		t.Errorf("a drive shares stripes with %d others: repair is not parallel", n)
	}
}

// scatter is with how many others a drive shares groups.
func scatter(groups []Group, drive uint16) int {
	with := map[uint16]bool{}
	for _, g := range groups {
		if slices.Contains(g, drive) {
			for _, d := range g {
				with[d] = true
			}
		}
	}
	return len(with) - 1
}

func TestGroupsSpreadTheLoadBySpace(t *testing.T) {
	l := folders(12, 1)
	l = l.InGroups(l.Regroup(folders(6, 1).Regroup(nil, 6, 2), 6, 2)) // 6, and 6 more came
	count := map[uint16]int{}
	const stripes = 5000
	for stripe := range uint64(stripes) {
		for _, d := range l.Choose(id(stripe), 6, 2) {
			count[d]++
		}
	}
	for _, d := range l {
		if n := count[d.Number]; n < stripes/4 || n > 3*stripes/4 {
			t.Errorf("drive %d has a shard of %d of %d stripes, its share is a half", d.Number, n, stripes)
		}
	}
}

func BenchmarkChooseInGroups(b *testing.B) {
	for _, drives := range []int{12, 60} {
		l := folders(drives, 1)
		l = l.InGroups(l.Regroup(nil, 6, 2))
		rand.Shuffle(len(l), func(i, j int) { l[i], l[j] = l[j], l[i] })
		b.Run(string(rune('0'+drives/12))+"x12", func(b *testing.B) {
			for i := uint64(0); b.Loop(); i++ {
				l.Choose(id(i), 6, 2)
			}
		})
	}
}
