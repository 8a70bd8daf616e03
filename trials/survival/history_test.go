package survival

import (
	"context"
	"crypto/md5"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// door is where clients make requests: a store, or a server's protocol.
type door interface {
	put(ctx context.Context, key, value string, cond condition) (outcome, error)
	get(ctx context.Context, key string) (value string, err error) // "" where there is none
	delete(ctx context.Context, key string) (outcome, error)
	list(ctx context.Context) (etags map[string]string, err error)
}

// condition of a put: none, on absence, or on an ETag.
type condition struct {
	absent bool
	etag   string
}

// outcome of a write.
type outcome uint8

const (
	applied outcome = iota // of a delete: it existed
	refused                // the condition did not hold; of a delete: there was nothing
	either                 // of a delete: the door does not say
	without                // it surely had no effect
	unknown                // whether it took effect is not known
)

// asked is the input of one request, answered its output.
type asked struct {
	op, key, value string
	condition      condition
}

type answered struct {
	outcome outcome
	value   string            // that was read
	etags   map[string]string // that were listed
}

// shelf is the state of all objects: an ETag is that of the value, of which no
// two are alike.
type shelf map[string]string

func etagOf(value string) string { return fmt.Sprintf("%x", md5.Sum([]byte(value))) }

func (s shelf) with(key, value string) shelf {
	next := maps.Clone(s)
	if delete(next, key); value != "" {
		next[key] = value
	}
	return next
}

func (s shelf) holds(in asked) bool {
	switch {
	case in.condition.absent:
		return s[in.key] == ""
	case in.condition.etag != "":
		return s[in.key] != "" && etagOf(s[in.key]) == in.condition.etag
	}
	return true
}

func (s shelf) lists(etags map[string]string) bool {
	if len(etags) != len(s) {
		return false
	}
	for key, value := range s {
		if etags[key] != etagOf(value) {
			return false
		}
	}
	return true
}

// step says whether an answer may come in a state, and what the state is then.
func (s shelf) step(in asked, out answered) (bool, shelf) {
	switch in.op {
	case "get":
		return s[in.key] == out.value, s
	case "list":
		return s.lists(out.etags), s
	case "delete":
		existed := s[in.key] != ""
		fits := out.outcome == unknown || out.outcome == either || existed == (out.outcome == applied)
		return fits, s.with(in.key, "")
	}
	holds := s.holds(in)
	if out.outcome != unknown && holds != (out.outcome == applied) {
		return false, s
	}
	if !holds {
		return true, s
	}
	return true, s.with(in.key, in.value)
}

var shelves = porcupine.Model{
	Init:              func() any { return shelf{} },
	Step:              func(state, in, out any) (bool, any) { return state.(shelf).step(in.(asked), out.(answered)) },
	Equal:             func(a, b any) bool { return maps.Equal(a.(shelf), b.(shelf)) },
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v -> %+v", in, out) },
}

// history of some clients at one door.
type history struct {
	door    func() door // waits while there is none
	seed    uint64
	pauseMS int // at most between two requests of a client
	clock   atomic.Int64
	etags   sync.Map // of values that were read, by key
	over    atomic.Bool

	mu      sync.Mutex
	ops     []porcupine.Operation
	unknown int
	failed  map[string]int // requests without effect, by error
}

const (
	historyKeys = 3
	unknownMost = 12 // of one history: each doubles what must be searched
)

// client makes requests until the history is over.
func (h *history) client(ctx context.Context, id, most int) {
	r := rand.New(rand.NewPCG(h.seed, uint64(id)))
	for i := 0; i < most && !h.over.Load(); i++ {
		in := h.draw(r, id, i)
		time.Sleep(time.Duration(r.IntN(h.pauseMS)+1) * time.Millisecond)
		d := h.door()
		begin := h.clock.Add(1)
		out, err := h.ask(ctx, d, in)
		h.note(porcupine.Operation{ClientId: id, Input: in, Call: begin, Output: out, Return: h.clock.Add(1)}, err)
	}
}

func (h *history) draw(r *rand.Rand, id, i int) asked {
	in := asked{key: string('a' + rune(r.IntN(historyKeys))), value: fmt.Sprintf("%d.%d.%d", h.seed, id, i)}
	switch n := r.IntN(12); {
	case n < 3:
		in.op = "put"
	case n < 4:
		in.op, in.condition = "put", condition{absent: true}
	case n < 6:
		in.op = "put"
		if etag, ok := h.etags.Load(in.key); ok {
			in.condition.etag = etag.(string)
		}
	case n < 7:
		in.op = "delete"
	case n < 8:
		in.op = "list"
	default:
		in.op = "get"
	}
	return in
}

func (h *history) ask(ctx context.Context, d door, in asked) (out answered, err error) {
	switch in.op {
	case "get":
		if out.value, err = d.get(ctx, in.key); err == nil && out.value != "" {
			h.etags.Store(in.key, etagOf(out.value))
		}
	case "list":
		out.etags, err = d.list(ctx)
	case "delete":
		out.outcome, err = d.delete(ctx, in.key)
	default:
		out.outcome, err = d.put(ctx, in.key, in.value, in.condition)
	}
	return out, err
}

// note keeps what can be judged: reads that failed saw nothing, and a write
// whose fate is not known may take effect at any later time.
func (h *history) note(op porcupine.Operation, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	in, out := op.Input.(asked), op.Output.(answered)
	if err != nil {
		h.failed[in.op+": "+clip(err)]++
	}
	switch {
	case out.outcome == without || err != nil && (in.op == "get" || in.op == "list"):
		return
	case err != nil:
		out.outcome = unknown
		op.Output, op.Return = out, math.MaxInt64
		if h.unknown++; h.unknown >= unknownMost {
			h.over.Store(true)
		}
	}
	h.ops = append(h.ops, op)
}

func clip(err error) string {
	s := err.Error()
	return s[:min(len(s), 90)]
}

// judge demands that the history is one of an atomic shelf.
func (h *history) judge(t *testing.T) {
	t.Helper()
	switch got := porcupine.CheckOperationsTimeout(shelves, h.ops, time.Minute); got {
	case porcupine.Ok:
	case porcupine.Unknown:
		t.Logf("seed %d: %d requests, %d of unknown fate: not decided in a minute", h.seed, len(h.ops), h.unknown)
	default:
		for _, op := range h.ops {
			t.Logf("%3d–%-3d client %d %s", op.Call, op.Return%1_000_000, op.ClientId, shelves.DescribeOperation(op.Input, op.Output))
		}
		t.Errorf("seed %d: %d requests are not linearizable", h.seed, len(h.ops))
	}
}
