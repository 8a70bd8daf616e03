package vectors

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/index"
	"github.com/tarnlake/tarn/vectors/lexicon"
	"github.com/tarnlake/tarn/vectors/segment"
)

// ChangeTexts adds metadata keys to those that are searched by words, and removes others. When it has answered,
// all vectors that are there are found by their words: those whose lexicons lack a key have it made
// in memory until upkeep has written it.
func (e *Engine) ChangeTexts(ctx context.Context, bucket, name string, add, remove []string) (Info, error) {
	for range attemptsMax {
		rec, version, err := e.readRecord(ctx, bucket, name)
		if err != nil {
			return Info{}, err
		}
		texts, err := changedTexts(rec.spec.Texts, add, remove)
		if err != nil {
			return Info{}, err
		}
		rec.spec.Texts = texts
		key := recordKey(bucket, name)
		_, err = e.commit(ctx, index.Txn{
			Conditions: []index.Condition{{Kind: index.KeyVersion, Key: key, Version: version}},
			Mutations:  []index.Mutation{{Kind: index.Put, Key: key, Value: objects.EncodeValue(nil, rec.encode())}},
		})
		var failed *index.ConditionError
		switch {
		case errors.As(err, &failed):
			continue
		case err != nil:
			return Info{}, fmt.Errorf("change the text search of index %s: %w", name, err)
		}
		return Info{Spec: rec.spec, Bucket: bucket, Created: rec.created}, e.barrier(ctx)
	}
	return Info{}, objects.ErrConflict
}

func changedTexts(have, add, remove []string) ([]string, error) {
	texts := slices.Clone(have)
	for i, k := range remove {
		at := slices.Index(fieldsOf(texts), k)
		if at < 0 {
			return nil, invalid(fmt.Sprintf("delete.textSearchConfigurations[%d].metadataKey", i), "%q is not searched by words", k)
		}
		texts = slices.Delete(texts, at, at+1)
	}
	for i, k := range add {
		if field, _ := lexicon.FieldOf(k); slices.Contains(fieldsOf(texts), field) {
			k = field
			return nil, invalid(fmt.Sprintf("add.textSearchConfigurations[%d].metadataKey", i), "%q is searched by words already", k)
		}
		texts = append(texts, k)
	}
	return texts, validateTexts(texts, "add.textSearchConfigurations")
}

// relist writes the lexicon of a segment that has none, or lacks a text; done is false where there is
// no such segment any more.
func (o *opened) relist(ctx context.Context, m *moment) (at index.Position, done bool, err error) {
	for _, s := range m.listedSegments() {
		if o.upkeep.listed[s.seq] {
			continue
		}
		l, err := s.head(ctx, o)
		if err != nil {
			return "", false, err
		}
		if o.listsAll(l) {
			if o.upkeep.listed == nil {
				o.upkeep.listed = map[uint64]bool{}
			}
			o.upkeep.listed[s.seq] = true
			continue
		}
		at, err := o.relistOne(ctx, m, s)
		return at, err == nil, err
	}
	return "", false, nil
}

// listsAll reports whether a lexicon has all texts of the index.
func (o *opened) listsAll(l *lexicon.Lexicon) bool {
	return l != nil && !slices.ContainsFunc(o.rec.spec.Texts, func(k string) bool { return !l.Has(lexicon.Text, k) })
}

func (o *opened) relistOne(ctx context.Context, m *moment, s *segmentFile) (index.Position, error) {
	words, err := o.writeLexicon(ctx, s.entries, func(i int) (*segment.Block, error) {
		p := part{file: s, entry: s.entries[i], held: &s.held[i]}
		return readBlock(ctx, o.e.o.Store, &p)
	})
	if err != nil {
		return "", fmt.Errorf("lexicon of segment %d: %w", s.seq, err)
	}
	head, rows, err := o.segmentHead(ctx, s)
	if err != nil {
		return "", err
	}
	step := stepping{o: o, m: m}
	step.txn.Conditions = []index.Condition{
		{Kind: index.KeyVersion, Key: recordKey(o.bucket, o.rec.spec.Name), Version: o.recVersion},
		o.upkeepCondition(m.view),
		{Kind: index.KeyVersion, Key: o.keys.segment(s.seq), Version: head.Version},
	}
	blobs, _, err := objects.DecodeValue(head.Value)
	if err != nil {
		return "", err
	}
	rows.lexicon = words.head
	step.put(o.keys.segment(s.seq), []objects.Blob{blobs[0], words.blob}, rows.encode())
	step.put(o.keys.key(keyUpkeep, ""), nil, m.upkeep.encode())
	res, err := o.e.commit(ctx, step.txn)
	return res.Position, err
}

// segmentHead reads a segment's entry in the index.
func (o *opened) segmentHead(ctx context.Context, s *segmentFile) (it index.Item, rec segmentRecord, err error) {
	if it, err = o.e.index.Get(ctx, o.keys.segment(s.seq)); err != nil {
		return it, rec, fmt.Errorf("read the record of segment %d: %w", s.seq, err)
	}
	blobs, payload, err := objects.DecodeValue(it.Value)
	if err != nil || len(blobs) == 0 {
		return it, rec, errors.Join(err, ErrCorrupt)
	}
	rec, err = decodeSegmentRecord(payload)
	return it, rec, err
}
