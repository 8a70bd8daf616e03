package indextest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/tarnlake/tarn/objects/index"
)

// An operation of a history on one key. Values never repeat, so that a key's
// version and its value stand for each other. 0 is absence.
type operation struct {
	kind  string // get, put, swap
	key   int
	old   uint64 // swap: what must be there
	value uint64 // put, swap
}

type outcome struct {
	value   uint64 // get
	applied bool   // swap
}

// register is the linearizable map, a key at a time.
var register = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byKey := map[int][]porcupine.Operation{}
		for _, o := range history {
			key := o.Input.(operation).key
			byKey[key] = append(byKey[key], o)
		}
		out := make([][]porcupine.Operation, 0, len(byKey))
		for _, h := range byKey {
			out = append(out, h)
		}
		return out
	},
	Init: func() any { return uint64(0) },
	Step: func(state, input, output any) (bool, any) {
		in, out, now := input.(operation), output.(outcome), state.(uint64)
		switch {
		case in.kind == "get":
			return out.value == now, now
		case in.kind == "put":
			return true, in.value
		case out.applied:
			return now == in.old, in.value
		default:
			return now != in.old, now
		}
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v → %+v", input, output) },
}

const (
	historyClients = 8
	historySteps   = 60
	historyKeys    = 4
	retryPause     = 5 * time.Millisecond
)

// Histories lets concurrent clients read, write and swap a few keys, while
// disturb runs beside them where it is not nil, and checks that what they saw is
// linearizable. Commits of unknown outcome are tried again with their request id.
func Histories(t *testing.T, i index.Index, disturb func()) {
	t.Helper()
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	start := time.Now()
	histories := make([][]porcupine.Operation, historyClients)
	var wait sync.WaitGroup
	for c := range historyClients {
		wait.Go(func() {
			client := &client{t: t, index: i, id: c, random: rand.New(rand.NewPCG(uint64(seed), uint64(c))), start: start}
			client.run(ctx)
			histories[c] = client.history
		})
	}
	if disturb != nil {
		wait.Go(disturb)
	}
	wait.Wait()
	var history []porcupine.Operation
	for _, h := range histories {
		history = append(history, h...)
	}
	if got := porcupine.CheckOperationsTimeout(register, history, patience); got != porcupine.Ok {
		t.Fatalf("history of %d operations: %s", len(history), got)
	}
}

type client struct {
	t       *testing.T
	index   index.Index
	id      int
	random  *rand.Rand
	start   time.Time
	history []porcupine.Operation
	next    uint64
}

func (c *client) run(ctx context.Context) {
	var seen [historyKeys]index.Item
	for range historySteps {
		o := operation{kind: []string{"get", "get", "put", "swap", "swap"}[c.random.IntN(5)], key: c.random.IntN(historyKeys)}
		c.next++
		o.value = uint64(c.id+1)<<32 | c.next
		call := time.Since(c.start).Nanoseconds()
		out, err := c.do(ctx, &o, &seen[o.key])
		if err != nil {
			c.t.Errorf("client %d: %s: %v", c.id, o.kind, err)
			return
		}
		c.history = append(c.history, porcupine.Operation{
			ClientId: c.id, Input: o, Call: call, Output: out, Return: time.Since(c.start).Nanoseconds(),
		})
	}
}

// historyKey spreads the keys over the alphabet, and so over shards.
func historyKey(key int) []byte { return fmt.Appendf(nil, "%c/history", 'a'+key*8) }

func (c *client) do(ctx context.Context, o *operation, seen *index.Item) (outcome, error) {
	key := historyKey(o.key)
	if o.kind == "get" {
		return c.get(ctx, key, seen)
	}
	txn := index.Txn{Mutations: []index.Mutation{{Kind: index.Put, Key: key, Value: encoded(o.value)}}}
	binary.LittleEndian.PutUint64(txn.RequestID[:], o.value)
	if o.kind == "swap" {
		o.old = decoded(seen.Value)
		txn.Conditions = []index.Condition{{Kind: index.KeyVersion, Key: key, Version: seen.Version}}
		if seen.Version == 0 {
			txn.Conditions = []index.Condition{{Kind: index.KeyAbsent, Key: key}}
		}
	}
	r, err := c.commit(ctx, txn)
	var failed *index.ConditionError
	if errors.As(err, &failed) {
		return outcome{}, nil
	}
	if err == nil {
		*seen = index.Item{Value: encoded(o.value), Version: r.Version}
	}
	return outcome{applied: true}, err
}

func (c *client) get(ctx context.Context, key []byte, seen *index.Item) (outcome, error) {
	item, err := c.index.Get(ctx, key)
	if err != nil && !errors.Is(err, index.ErrNotFound) {
		return outcome{}, err
	}
	*seen = item
	return outcome{value: decoded(item.Value)}, nil
}

func (c *client) commit(ctx context.Context, txn index.Txn) (index.Result, error) {
	for {
		r, err := c.index.Commit(ctx, txn)
		if err == nil || !errors.Is(err, index.ErrUnknown) && !errors.Is(err, index.ErrReadOnly) || ctx.Err() != nil {
			return r, err
		}
		time.Sleep(retryPause)
	}
}

func encoded(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v) }

func decoded(b []byte) uint64 {
	if len(b) == 0 {
		return 0
	}
	return binary.LittleEndian.Uint64(b)
}
