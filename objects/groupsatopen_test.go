package objects

import (
	"slices"
	"testing"

	"github.com/tarnlake/tarn/objects/placement"
)

// Groups that the drives no longer fit, though there are as many of them and the drives
// are the same, are formed anew at a start, and the roots say so: all that is written
// later goes by what the roots say.
func TestGroupsFormedAnewAtAStartAreInTheRoots(t *testing.T) {
	o := spacious(86)
	s := openDurable(t, o)
	fits := s.roots.get().groups
	err := s.roots.save(t.Context(), func(r *rootRecord) {
		r.groups = []placement.Group{{1, 2, 3, 4, 5, 99}} // there is no drive 99
	})
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	s = openDurable(t, o)
	defer mustClose(t, s)
	equal := func(a, b placement.Group) bool { return slices.Equal(a, b) }
	if got := s.roots.get().groups; len(fits) != 1 || !slices.EqualFunc(got, fits, equal) {
		t.Errorf("the roots name the groups %v, the drives are in %v", got, fits)
	}
}
