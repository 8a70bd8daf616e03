package objects_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/objectstest"
)

// call is one request of a history: its input, and its answer.
type call struct {
	op, key, value, etag string
}

type answer struct {
	found bool   // the object existed; of a conditional put: the condition held
	value string // that was read
	lost  bool   // ErrConflict: without effect
}

// register is one object: its value, empty where it is absent. The ETag of a
// value is the value's own, for no value is put twice.
var register = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byKey := map[string][]porcupine.Operation{}
		for _, op := range history {
			k := op.Input.(call).key
			byKey[k] = append(byKey[k], op)
		}
		var parts [][]porcupine.Operation
		for _, p := range byKey {
			parts = append(parts, p)
		}
		return parts
	},
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		is, in, out := state.(string), input.(call), output.(answer)
		if out.lost {
			return true, is
		}
		switch in.op {
		case "put":
			return true, in.value
		case "get":
			return out.value == is, is
		case "delete":
			return out.found == (is != ""), ""
		case "put if absent":
			return out.found == (is == ""), pick(is == "", in.value, is)
		default: // put if match
			return out.found == (is == in.etag), pick(is == in.etag, in.value, is)
		}
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
}

func pick(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}

// client makes requests of random kinds and records them.
type client struct {
	s     *objects.Store
	r     *rand.Rand
	etags *sync.Map // by value
	clock *atomic.Int64
	seen  string // value read last
	ops   []porcupine.Operation
}

func (c *client) put(ctx context.Context, in call, cond objects.Conditions) (answer, error) {
	o, err := c.s.Put(ctx, objects.PutRequest{Bucket: "lake", Key: in.key, Body: strings.NewReader(in.value), Bytes: -1, Conditions: cond})
	switch {
	case errors.Is(err, objects.ErrPrecondition):
		return answer{}, nil
	case errors.Is(err, objects.ErrConflict) && cond != (objects.Conditions{}):
		return answer{lost: true}, nil
	case err == nil:
		c.etags.Store(in.value, o.ETag)
	}
	return answer{found: true}, err
}

func (c *client) do(ctx context.Context, in call) (answer, error) {
	switch in.op {
	case "put":
		return c.put(ctx, in, objects.Conditions{})
	case "put if absent":
		return c.put(ctx, in, objects.Conditions{IfAbsent: true})
	case "put if match":
		etag, _ := c.etags.Load(in.etag)
		return c.put(ctx, in, objects.Conditions{IfETag: etag.(string)})
	case "delete":
		d, err := c.s.Delete(ctx, objects.DeleteRequest{Bucket: "lake", Key: in.key})
		return answer{found: d.Existed}, err
	}
	_, b, err := objectstest.ReadAll(ctx, c.s, "lake", in.key)
	if errors.Is(err, objects.ErrNoObject) {
		return answer{}, nil
	}
	return answer{value: string(b)}, err
}

func (c *client) run(ctx context.Context, id, n int) error {
	for i := range n {
		in := call{op: []string{"put", "get", "get", "delete", "put if absent", "put if match"}[c.r.IntN(6)],
			key: string('a' + rune(c.r.IntN(3))), value: fmt.Sprintf("%d.%d", id, i)}
		if in.op == "put if match" {
			if _, ok := c.etags.Load(c.seen); !ok {
				in.op = "get"
			}
			in.etag = c.seen
		}
		begin := c.clock.Add(1)
		out, err := c.do(ctx, in)
		if err != nil {
			return fmt.Errorf("%+v: %w", in, err)
		}
		c.ops = append(c.ops, porcupine.Operation{ClientId: id, Input: in, Call: begin, Output: out, Return: c.clock.Add(1)})
		if out.value != "" {
			c.seen = out.value
		}
	}
	return nil
}

// rounds of a test that draws its own input: many with TARN_SOAK=1.
func rounds(quick, soak int) int {
	if os.Getenv("TARN_SOAK") == "1" {
		return soak
	}
	return quick
}

func TestConcurrentRequestsAreLinearizable(t *testing.T) {
	for seed := range rounds(3, 300) {
		history := concurrently(t, uint64(seed), 8, 60)
		if got := porcupine.CheckOperationsTimeout(register, history, 20*time.Second); got != porcupine.Ok {
			t.Fatalf("history of %d requests is %s (seed %d)", len(history), got, seed)
		}
	}
}

// concurrently is the history of some clients that make requests at once.
func concurrently(t *testing.T, seed uint64, clients, each int) []porcupine.Operation {
	ctx, s := openBucket(t)
	dawdle(s)
	var clock atomic.Int64
	var etags sync.Map
	var all sync.WaitGroup
	made := make([]client, clients)
	for id := range made {
		made[id] = client{s: s, r: rand.New(rand.NewPCG(seed, uint64(id))), etags: &etags, clock: &clock}
		all.Go(func() {
			if err := made[id].run(ctx, id, each); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	var history []porcupine.Operation
	for _, c := range made {
		history = append(history, c.ops...)
	}
	return history
}

func TestUnconditionalPutsNeverLoseToEachOther(t *testing.T) {
	ctx, s := openBucket(t)
	var all sync.WaitGroup
	for w := range 24 {
		all.Go(func() {
			for i := range 6 {
				body := fmt.Sprint(w, i)
				if _, err := s.Put(ctx, objects.PutRequest{Bucket: "lake", Key: "hot", Body: strings.NewReader(body), Bytes: int64(len(body))}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if _, err := s.Head(ctx, "lake", "hot"); err != nil {
		t.Error(err)
	}
}

// A put that began before the bucket was deleted does not bring it back.
func TestADeletedBucketRegainsNoObjects(t *testing.T) {
	ctx, s := openBucket(t)
	gone := func() error { return s.DeleteBucket(ctx, "lake") }
	_, err := s.Put(ctx, objects.PutRequest{Bucket: "lake", Key: "late", Body: strings.NewReader("x"), Bytes: 1, Verify: gone})
	if !errors.Is(err, objects.ErrNoBucket) {
		t.Errorf("put into a bucket deleted meanwhile: %v", err)
	}
	if keys := keysBelow(t, s, "b/"); len(keys) != 0 {
		t.Errorf("left behind: %q", keys)
	}
	if _, err := s.CreateBucket(ctx, "lake"); err != nil {
		t.Fatal(err)
	}
	if page, err := s.List(ctx, objects.ListRequest{Bucket: "lake", Max: 10}); err != nil || len(page.Objects) != 0 {
		t.Errorf("the new bucket has %d objects, %v", len(page.Objects), err)
	}
}

func TestABucketThatHoldsAnythingStays(t *testing.T) {
	ctx, s := openBucket(t)
	for _, k := range []objects.Kind{objects.KindObject, objects.KindUpload, objects.KindVector, objects.KindTable} {
		key := append(objects.KindPrefix("lake", k), "some"...)
		tx := s.Begin()
		tx.Mutate(putEmpty(key))
		if _, err := s.Commit(ctx, tx); err != nil {
			t.Fatal(err)
		}
		if err := s.DeleteBucket(ctx, "lake"); !errors.Is(err, objects.ErrBucketNotEmpty) {
			t.Errorf("with a key of kind %c: %v", k, err)
		}
		tx = s.Begin()
		tx.Mutate(deleteKey(key))
		if _, err := s.Commit(ctx, tx); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.DeleteBucket(ctx, "lake"); err != nil {
		t.Error(err)
	}
	if err := s.DeleteBucket(ctx, "lake"); !errors.Is(err, objects.ErrNoBucket) {
		t.Error("again:", err)
	}
}
