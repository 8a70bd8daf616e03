// Command vectors loads vectors into a Tarn store on this disk and asks it, in process and on
// one thread, for the neighbours of others. Its three nouns are data, probes and recall.
//
//	data.f32, queries.f32 ─► Put, Flush ─► Query at several probe counts ─► lines of JSON
//
// data.py beside it makes the data, peers.py measures named peers on them, report.py prints a table, and `make
// bench-vectors` runs all four. The store lies in a folder that the caller gives, and is loaded only where it is empty.
// Times are those of the process's CPU as well as of the clock: on a machine with other work
// only the former can be compared. It serves one caller and is left to measure, not to check.
package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/tables"
	"github.com/tarnlake/tarn/vectors"
	"github.com/tarnlake/tarn/vectors/distance"
)

const (
	bucket = "bench"
	name   = "docs"
)

type settings struct {
	dir, data, queries, limits, metric, probes, profile, loading, held, parts, ranking string
	dim, k, rounds, target, cell, vectors, queriesOf                                   int
	cacheMiB                                                                           int64
	steps                                                                              bool
}

func main() {
	var s settings
	flag.StringVar(&s.dir, "dir", "", "folder of the store")
	flag.StringVar(&s.data, "data", "", "vectors, float32 little endian")
	flag.StringVar(&s.queries, "queries", "", "queries, likewise")
	flag.StringVar(&s.limits, "distances", "", "distances of the 100 exact neighbours of each query, float32")
	flag.StringVar(&s.metric, "metric", "cosine", "cosine, euclidean or dot")
	flag.StringVar(&s.probes, "probes", "0,5,10,20,40,80", "cells to look into; 0: the index chooses")
	flag.StringVar(&s.profile, "profile", "", "file for a CPU profile of the queries")
	flag.StringVar(&s.loading, "profile-load", "", "file for a CPU profile of the load")
	flag.StringVar(&s.held, "profile-heap", "", "likewise, of the heap after them")
	flag.BoolVar(&s.steps, "steps", false, "print each step of upkeep")
	flag.IntVar(&s.cell, "cell", 0, "vectors of a cell; 0: the default")
	flag.IntVar(&s.dim, "dim", 384, "dimension")
	flag.IntVar(&s.k, "k", 10, "neighbours")
	flag.IntVar(&s.rounds, "rounds", 3, "of which the quickest counts")
	flag.StringVar(&s.ranking, "ranking", "full", "what decides in the end: full or bytes")
	flag.Int64Var(&s.cacheMiB, "cache", 1024, "MiB of the cache")
	flag.IntVar(&s.target, "target", 0, "vectors of a neighbourhood; 0: the default")
	flag.StringVar(&s.parts, "parts", "", "what else to measure in place of that, on vectors made here: "+partNames())
	flag.IntVar(&s.vectors, "vectors", 300_000, "of a part; or indexes of the part of many")
	flag.IntVar(&s.queriesOf, "asked", 200, "queries of a part")
	flag.Parse()
	if s.parts != "" {
		if err := runParts(context.Background(), s); err != nil {
			fmt.Fprintln(os.Stderr, "vectors:", err)
			os.Exit(1)
		}
		return
	}
	if err := run(context.Background(), s); err != nil {
		fmt.Fprintln(os.Stderr, "vectors:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s settings) error {
	asked, err := readQueries(s)
	if err != nil {
		return err
	}
	debug.FreeOSMemory()
	asked.before = residentMiB()
	h := host.Real(slog.New(slog.NewTextHandler(io.Discard, nil)))
	var drives []string
	for i := range 3 {
		drives = append(drives, filepath.Join(s.dir, "drive-"+strconv.Itoa(i+1)))
	}
	store, err := objects.Open(ctx, objects.Options{Host: h, Drives: drives, DataShards: 2, ParityShards: 1, AutoFormat: true, DriveTimeout: time.Hour})
	if err != nil {
		return err
	}
	defer store.Close()
	ranking, ok := vectors.ParseRanking(s.ranking)
	if !ok {
		return fmt.Errorf("-ranking: %q is neither full nor bytes", s.ranking)
	}
	e, err := vectors.Open(ctx, vectors.Options{
		Store: vectors.Over(store), CacheBytes: s.cacheMiB << 20, Ranking: ranking, Tuning: vectors.Tuning{Target: s.target, Cell: s.cell},
		Rows: vectors.ParquetRows(tables.NewRowFiles(vectors.Over(store))), Events: vectors.Events{Upkeep: s.tell},
	})
	if err != nil {
		return err
	}
	defer e.Close()
	if err := load(ctx, store, e, s); err != nil {
		return err
	}
	return ask(ctx, e, s, asked)
}

// queries that are asked, with the distances of their k-th neighbours.
type queries struct {
	vectors [][]float32
	limits  []float32
	before  float64 // MiB of the process's memory before a store was opened
}

func readQueries(s settings) (queries, error) {
	vectors, err := readVectors(s.queries, s.dim)
	if err != nil {
		return queries{}, err
	}
	limits, err := readLimits(s.limits, s.k, len(vectors))
	return queries{vectors: vectors, limits: limits}, err
}

// tell prints each step of upkeep, where that is asked for.
func (s *settings) tell(_, _, step string, rows int, err error) {
	if s.steps {
		fmt.Fprintln(os.Stderr, time.Now().Format("05.000"), step, rows, err)
	}
}

// load puts all vectors where the index is not there yet.
func load(ctx context.Context, store *objects.Store, e *vectors.Engine, s settings) error {
	if _, err := e.Index(ctx, bucket, name); err == nil {
		return nil
	}
	data, err := readVectors(s.data, s.dim)
	if err != nil {
		return err
	}
	if _, err := store.CreateBucket(ctx, bucket); err != nil {
		return err
	}
	metric, _ := distance.ParseMetric(s.metric)
	if _, err := e.CreateIndex(ctx, bucket, vectors.Spec{Name: name, Dimension: s.dim, Metric: metric}); err != nil {
		return err
	}
	stop, err := profiled(s.loading)
	if err != nil {
		return err
	}
	defer stop()
	began, cpu := time.Now(), cpuTime()
	for from := 0; from < len(data); from += vectors.BatchMax {
		batch := make([]vectors.Vector, 0, vectors.BatchMax)
		for i := from; i < min(from+vectors.BatchMax, len(data)); i++ {
			batch = append(batch, vectors.Vector{Key: strconv.Itoa(i), Values: data[i]})
		}
		if err := e.Put(ctx, bucket, name, batch); err != nil {
			return err
		}
	}
	pushed := time.Since(began)
	if err := e.Flush(ctx); err != nil {
		return err
	}
	return print(map[string]any{
		"what": "load", "vectors": len(data), "pushed_s": pushed.Seconds(), "built_s": time.Since(began).Seconds(),
		"cpu_s": (cpuTime() - cpu).Seconds(), "vectors_per_cpu_s": float64(len(data)) / (cpuTime() - cpu).Seconds(),
	})
}

func ask(ctx context.Context, e *vectors.Engine, s settings, asked queries) error {
	info, err := e.DescribeIndex(ctx, bucket, name)
	if err != nil {
		return err
	}
	if err := print(map[string]any{"what": "index", "neighbourhoods": info.Neighbourhoods, "segments": info.Segments, "probes": info.Probes, "tail": info.TailVectors}); err != nil {
		return err
	}
	stop, err := profiled(s.profile)
	if err != nil {
		return err
	}
	defer stop()
	for text := range strings.SplitSeq(s.probes, ",") {
		probes, err := strconv.Atoi(text)
		if err != nil {
			return err
		}
		if err := curve(ctx, e, s, asked, probes); err != nil {
			return err
		}
	}
	if s.held == "" {
		return nil
	}
	f, err := os.Create(s.held)
	if err != nil {
		return err
	}
	defer f.Close()
	return pprof.WriteHeapProfile(f)
}

// profiled writes a CPU profile to a file, where one is named, until stop.
func profiled(path string) (stop func(), err error) {
	if path == "" {
		return func() {}, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return pprof.StopCPUProfile, pprof.StartCPUProfile(f)
}

// curve is one point of it.
func curve(ctx context.Context, e *vectors.Engine, s settings, asked queries, probes int) error {
	best, bestCPU := time.Duration(math.MaxInt64), time.Duration(math.MaxInt64)
	found, scanned, reranked, read := 0, int64(0), int64(0), int64(0)
	for range s.rounds + 1 { // the first one warms
		found, scanned, reranked, read = 0, 0, 0, 0
		began, cpu := time.Now(), cpuTime()
		for i, q := range asked.vectors {
			a, err := e.Query(ctx, bucket, name, vectors.Request{Values: q, TopK: s.k, Probes: probes})
			if err != nil {
				return err
			}
			scanned, reranked, read = scanned+a.Explain.Scanned, reranked+a.Explain.Reranked, read+a.Explain.BytesRead
			for _, h := range a.Hits {
				if h.Distance <= asked.limits[i] {
					found++
				}
			}
		}
		best, bestCPU = min(best, time.Since(began)), min(bestCPU, cpuTime()-cpu)
	}
	n := float64(len(asked.vectors))
	resident := residentMiB() - asked.before
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return print(map[string]any{
		"what": "tarn", "probes": probes, "recall": float64(found) / n / float64(s.k), "qps": n / best.Seconds(), "cpu_us": float64(bestCPU.Microseconds()) / n,
		"scanned": float64(scanned) / n, "reranked": float64(reranked) / n, "read": float64(read) / n, "heap_mib": m.HeapAlloc >> 20, "resident_mib": math.Round(resident),
	})
}

func print(line map[string]any) error { return json.NewEncoder(os.Stdout).Encode(line) }

func readVectors(path string, dim int) ([][]float32, error) {
	numbers, err := readWords(path)
	if err != nil {
		return nil, err
	}
	list := make([][]float32, len(numbers)/dim)
	for i := range list {
		list[i] = make([]float32, dim)
		for j := range list[i] {
			list[i][j] = math.Float32frombits(numbers[i*dim+j])
		}
	}
	return list, nil
}

// readLimits are the distances of the k-th neighbours, a little rounded up: of rows that are equally
// far any counts.
func readLimits(path string, k, queries int) ([]float32, error) {
	numbers, err := readWords(path)
	if err != nil {
		return nil, err
	}
	each := len(numbers) / queries
	list := make([]float32, queries)
	for i := range list {
		list[i] = math.Float32frombits(numbers[i*each+k-1]) + 1e-6
	}
	return list, nil
}

func readWords(path string) ([]uint32, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	words := make([]uint32, st.Size()/4)
	return words, binary.Read(bufio.NewReaderSize(f, 1<<20), binary.LittleEndian, words)
}

// cpuTime is what the process has used.
func cpuTime() time.Duration {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
