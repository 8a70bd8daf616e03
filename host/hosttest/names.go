package hosttest

import (
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
)

// node is a file, or a folder. Folders' maps are guarded by Disk.mu.
type node struct {
	contents *contents        // files only
	names    map[string]*node // folders only: what programs see
	disk     map[string]*node // what the platter holds
}

func newFolder() *node { return &node{names: map[string]*node{}, disk: map[string]*node{}} }

func newFile() *node { return &node{contents: newContents()} }

func (n *node) isDir() bool { return n.contents == nil }

// change is one atomic change of names that no folder's sync has made durable.
type change struct {
	top  string // the top-level folder in which it happened
	sets []set
}

// set says that name in folder now leads to node; nil: to nothing.
type set struct {
	folder *node
	name   string
	node   *node
}

func (s set) sees() { assign(s.folder.names, s.name, s.node) }
func (s set) keep() { assign(s.folder.disk, s.name, s.node) }

func assign(m map[string]*node, name string, n *node) {
	if n == nil {
		delete(m, name)
	} else {
		m[name] = n
	}
}

// clean is the path from the root without a leading slash; the root is "".
func clean(p string) string { return strings.TrimPrefix(path.Clean("/"+p), "/") }

func topOf(p string) string {
	top, _, _ := strings.Cut(clean(p), "/")
	return top
}

// find walks to the node of a path. The caller holds mu.
func (d *Disk) find(p string) (*node, error) {
	at := d.root
	for _, part := range strings.Split(clean(p), "/") {
		if part == "" {
			continue
		}
		if !at.isDir() {
			return nil, syscall.ENOTDIR
		}
		next := at.names[part]
		if next == nil {
			return nil, os.ErrNotExist
		}
		at = next
	}
	return at, nil
}

// folder walks to the folder of a path and gives the path's last name.
func (d *Disk) folder(p string) (*node, string, error) {
	parent, name := path.Split(clean(p))
	if name == "" {
		return nil, "", syscall.EINVAL
	}
	at, err := d.find(parent)
	if err != nil {
		return nil, "", err
	}
	if !at.isDir() {
		return nil, "", syscall.ENOTDIR
	}
	return at, name, nil
}

// record makes the change seen and remembers it as not yet durable.
func (d *Disk) record(p string, sets ...set) {
	for _, s := range sets {
		s.sees()
	}
	d.pending = append(d.pending, change{top: topOf(p), sets: sets})
}

// syncFolder makes the changes in one folder durable, and those that they build on.
func (d *Disk) syncFolder(n *node) {
	needed := map[set]bool{} // folder and name only
	durable := make([]bool, len(d.pending))
	for i, c := range slices.Backward(d.pending) {
		for _, s := range c.sets {
			durable[i] = durable[i] || s.folder == n || needed[set{folder: s.folder, name: s.name}]
		}
		for _, s := range c.sets {
			if durable[i] {
				needed[set{folder: s.folder, name: s.name}] = true
			}
		}
	}
	var rest []change
	for i, c := range d.pending {
		if !durable[i] {
			rest = append(rest, c)
			continue
		}
		for _, s := range c.sets {
			s.keep()
		}
	}
	d.pending = rest
}

// surviving chooses which pending changes a crash keeps: on a drive with a
// journal a prefix, on others any of them.
func surviving(r *rand.Rand, pending []change) []change {
	var out []change
	tops := map[string]float64{}
	ended := map[string]bool{}
	journal := map[string]bool{}
	for _, c := range pending {
		if _, known := tops[c.top]; !known {
			tops[c.top], journal[c.top] = chance(r), r.IntN(2) == 0
		}
		kept := r.Float64() < tops[c.top]
		ended[c.top] = ended[c.top] || journal[c.top] && !kept
		if kept && !ended[c.top] {
			out = append(out, c)
		}
	}
	return out
}

// crashed copies the tree that the platter holds.
func crashed(r *rand.Rand, n *node, over map[set]*node, seen map[*node]*node) *node {
	if c := seen[n]; c != nil {
		return c
	}
	if !n.isDir() {
		c := &node{contents: n.contents.crash(r)}
		seen[n] = c
		return c
	}
	out := newFolder()
	seen[n] = out
	kept := maps.Clone(n.disk)
	for at, to := range over {
		if at.folder == n {
			assign(kept, at.name, to)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(kept)) {
		c := crashed(r, kept[name], over, seen)
		out.names[name], out.disk[name] = c, c
	}
	return out
}
