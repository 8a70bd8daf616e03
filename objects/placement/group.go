package placement

import (
	"cmp"
	"slices"
)

// GroupsPerDrive is in how many groups a drive is at least, where there are enough
// drives: with n shards a stripe, the loss of a drive is repaired from and to
// GroupsPerDrive × (n-1) others. More would repair no faster than the pace that
// repair keeps, and make the loss of m+1 drives at once more likely to be one of data.
const GroupsPerDrive = 4

// Group is the numbers of the drives that share stripes, rising. While all of them
// are well, every stripe lies within one group: so that of all sets of m+1 drives
// only those within a group hold all that some stripe can spare (Cidon et al.,
// Copysets, 2013).
type Group []uint16

// Regroup forms the groups of n drives each for stripes with m spare shards. Groups
// that are there already stay as they are as far as can be: drives that left the
// layout are replaced, drives that are new get groups, and what is no longer needed
// or puts more shards in a domain than must be goes. Whether drives are well does not
// matter. nil: there are too few drives for groups.
func (l Layout) Regroup(groups []Group, n, m int) []Group {
	if len(l) < n {
		return nil
	}
	g := &grouping{layout: l, n: n, m: m, count: map[uint16]int{}}
	g.from = l.safe(n, m)
	g.limit = l.most(g.from, n)
	for _, old := range groups {
		g.keep(old)
	}
	if g.unchanged(groups) {
		return groups
	}
	g.form()
	g.prune()
	return g.groups
}

// grouping is a Regroup under way.
type grouping struct {
	layout Layout
	n, m   int
	from   Level // over which stripes are spread
	limit  int   // shards that a domain of it need not exceed
	groups []Group
	count  map[uint16]int // groups of a drive
}

func (g *grouping) add(group Group) bool {
	slices.Sort(group)
	for _, number := range group {
		g.count[number]++ // even where it is no news: the next one begins with other drives
	}
	if slices.ContainsFunc(g.groups, func(o Group) bool { return slices.Equal(o, group) }) {
		return false
	}
	g.groups = append(g.groups, group)
	return true
}

// keep takes an old group, with others in the place of drives that left.
func (g *grouping) keep(old Group) {
	var rest Group
	for _, d := range g.layout {
		if slices.Contains(old, d.Number) {
			rest = append(rest, d.Number)
		}
	}
	if len(rest) == 0 || len(old) != g.n {
		return
	}
	all := slices.Clone(g.layout)
	for i := range all {
		all[i].Well = true
	}
	rest = append(rest, all.substitutes(rest, g.n-len(rest), g.m)...)
	if len(rest) == g.n && g.layout.fullest(g.from, rest) <= g.limit {
		g.add(rest)
	}
}

// unchanged: the groups are what they were, and every drive is in one.
func (g *grouping) unchanged(groups []Group) bool {
	lacks := slices.ContainsFunc(g.layout, func(d Drive) bool { return g.count[d.Number] == 0 })
	return !lacks && slices.EqualFunc(g.groups, groups, func(a, b Group) bool { return slices.Equal(a, b) })
}

// form makes groups until every drive is in enough.
func (g *grouping) form() {
	all := slices.Clone(g.layout)
	slices.SortFunc(all, func(a, b Drive) int { return cmp.Compare(a.Number, b.Number) })
	for i := range all {
		all[i].Well = true
	}
	for {
		least := slices.MinFunc(all, func(a, b Drive) int { return cmp.Compare(g.count[a.Number], g.count[b.Number]) })
		if g.count[least.Number] >= GroupsPerDrive || len(all) == g.n && len(g.groups) > 0 {
			return
		}
		g.add(g.compose(all, least.Number))
	}
}

// compose makes a group around a drive: evenly over the domains, of drives with few
// groups, that were seldom together before.
func (g *grouping) compose(all Layout, first uint16) Group {
	group := Group{first}
	for len(group) < g.n {
		s := all.spread(g.n-len(group), g.m, group)
		best := -1
		for i := range s.drives {
			if best < 0 || g.better(s, group, i, best) {
				best = i
			}
		}
		group = append(group, s.drives[best].Number)
	}
	return group
}

func (g *grouping) better(s *spread, group Group, a, b int) bool {
	x, y := s.drives[a].Number, s.drives[b].Number
	return cmp.Or(s.compare(a, b), cmp.Compare(g.count[x], g.count[y]),
		cmp.Compare(g.together(group, x), g.together(group, y)), cmp.Compare(x, y)) < 0
}

// together counts how often a drive is in a group with those of another.
func (g *grouping) together(group Group, number uint16) (n int) {
	for _, o := range g.groups {
		if !slices.Contains(o, number) {
			continue
		}
		for _, other := range group {
			if slices.Contains(o, other) {
				n++
			}
		}
	}
	return n
}

// prune drops groups, the oldest first, without which every drive is in enough.
func (g *grouping) prune() {
	clear(g.count)
	for _, group := range g.groups {
		for _, number := range group {
			g.count[number]++
		}
	}
	g.groups = slices.DeleteFunc(g.groups, func(group Group) bool {
		needed := slices.ContainsFunc(group, func(number uint16) bool { return g.count[number] <= GroupsPerDrive })
		if !needed {
			for _, number := range group {
				g.count[number]--
			}
		}
		return !needed
	})
}

// substitutes are count well drives that go with others, always the same ones.
func (l Layout) substitutes(others Group, count, m int) []uint16 {
	if count <= 0 {
		return nil
	}
	sorted := slices.Sorted(slices.Values(others))
	var seed [16]byte
	x := uint64(0)
	for _, number := range sorted {
		x = mix(x ^ uint64(number))
	}
	for i := range 8 {
		seed[i] = byte(x >> (8 * i))
	}
	equal := slices.Clone(l)
	for i := range equal {
		equal[i].Free = 1 // space changes, and a set of drives more with it
	}
	return equal.spread(count, m, others).take(seed, count)
}

// fullest is how many of some drives lie in one domain of a level.
func (l Layout) fullest(at Level, some []uint16) int {
	var chosen Layout
	for _, d := range l {
		if slices.Contains(some, d.Number) {
			chosen = append(chosen, d)
		}
	}
	if len(chosen) == 0 {
		return 0
	}
	return slices.Max(chosen.sizes(at))
}

// InGroups gives a layout whose drives know their groups.
func (l Layout) InGroups(groups []Group) Layout {
	out := slices.Clone(l)
	for i := range out {
		out[i].Groups = nil
		for n, group := range groups {
			if slices.Contains(group, out[i].Number) {
				out[i].Groups = append(out[i].Groups, n)
			}
		}
	}
	return out
}
