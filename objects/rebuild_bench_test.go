package objects

import (
	"context"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/objects/index"
)

// objectsOf is the n-th thousand of objects as the index has them: a key of 40 bytes, a
// value that leads to one stripe.
func objectsOf(n int) (all []index.Mutation) {
	for i := range 1000 {
		st := Stripe{K: 4, M: 2, Bytes: 4096, Shards: make([]Shard, 6)}
		binary.LittleEndian.PutUint64(st.ID[:], uint64(n*1000+i)*0x9e3779b97f4a7c15)
		for s := range st.Shards {
			st.Shards[s].Drive, st.Shards[s].Address.Extent, st.Shards[s].Address.Generation = uint16(s+1), uint32(n+1), 1
			st.Shards[s].Address.Sector = uint32(i)
		}
		key := fmt.Appendf(nil, "b/bench/o/%08x/and/the/rest/%08d", uint32(n*1000+i)*2654435761, n*1000+i)
		all = append(all, index.Mutation{Kind: index.Put, Key: key, Value: EncodeValue([]Blob{{Bytes: 4096, Stripes: []Stripe{st}}}, make([]byte, 120))})
	}
	return all
}

// BenchmarkRebuild opens a store of a million objects whose views are gone, on six folders
// of the real disk: from the checkpoint, and from the journal alone.
func BenchmarkRebuild(b *testing.B) {
	for _, from := range []string{"checkpoint", "journal"} {
		b.Run(from, func(b *testing.B) {
			const thousands = 1000
			dir := b.TempDir()
			o := Options{Host: host.Real(nil), AutoFormat: true, CheckpointBytes: 1 << 40}
			for i := range 6 {
				o.Drives = append(o.Drives, filepath.Join(dir, fmt.Sprintf("drive-%d", i+1)))
			}
			s := openDurable(b, o)
			for n := range thousands {
				if _, err := s.idx.Commit(context.Background(), index.Txn{Mutations: objectsOf(n)}); err != nil {
					b.Fatal(err)
				}
			}
			image := int64(0)
			if from == "checkpoint" {
				mustCheckpoint(b, s)
				record := s.roots.get()
				named, err := s.checkpoint(context.Background(), &record)
				if err != nil {
					b.Fatal(err)
				}
				image = named.image[0].Bytes
			}
			mustClose(b, s)
			b.ResetTimer()
			for range b.N {
				b.StopTimer()
				for _, folder := range o.Drives {
					if err := o.Host.FS.RemoveAll(filepath.Join(folder, viewFolder)); err != nil {
						b.Fatal(err)
					}
				}
				b.StartTimer()
				s := openDurable(b, o)
				b.StopTimer()
				mustClose(b, s)
				b.StartTimer()
			}
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/rebuild")
			b.ReportMetric(float64(image)/1e6, "image-MB")
		})
	}
}
