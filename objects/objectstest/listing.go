package objectstest

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/tarnlake/tarn/objects"
)

// List sorts all keys and drops what the page has not.
func (m *Model) List(_ context.Context, r objects.ListRequest) (objects.ListPage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var page objects.ListPage
	if r.Max < 0 {
		return page, &objects.InvalidError{Field: "max", Reason: "negative"}
	}
	b, err := m.bucket(r.Bucket)
	if err != nil || r.Max == 0 {
		return page, err
	}
	last, most := "", min(r.Max, objects.ListMax)
	for _, e := range rolled(slices.Sorted(maps.Keys(b.objects)), r.Prefix, r.Delimiter, r.After) {
		if len(page.Objects)+len(page.Prefixes) == most {
			page.Next = last
			break
		}
		if last = e.name; e.common {
			page.Prefixes = append(page.Prefixes, e.name)
		} else {
			page.Objects = append(page.Objects, b.objects[e.name].Object)
		}
	}
	return page, nil
}

// entry of a listing: a key, or a common prefix of some.
type entry struct {
	name   string
	common bool
}

// rolled lists sorted keys as S3 does. An after that is itself a common prefix
// hides every key under it.
func rolled(keys []string, prefix, delimiter, after string) []entry {
	var out []entry
	for _, key := range keys {
		if !strings.HasPrefix(key, prefix) || key <= after && after != "" {
			continue
		}
		e := entry{name: key}
		if head, _, found := strings.Cut(key[len(prefix):], delimiter); found && delimiter != "" {
			e = entry{prefix + head + delimiter, true}
		}
		if e.common && e.name == after || len(out) > 0 && out[len(out)-1] == e {
			continue
		}
		out = append(out, e)
	}
	return out
}
