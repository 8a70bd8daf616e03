package objectstest

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"

	"github.com/tarnlake/tarn/objects"
)

var hashes = map[string]func() hash.Hash{
	objects.CRC32:     func() hash.Hash { return crc32.NewIEEE() },
	objects.CRC32C:    func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) },
	objects.CRC64NVME: func() hash.Hash { return crc64.New(crc64.MakeTable(0x9a6c9329ac4bc9b5)) },
	objects.SHA1:      sha1.New,
	objects.SHA256:    sha256.New,
}

func sumOf(name string, b []byte) []byte {
	h := hashes[name]()
	h.Write(b)
	return h.Sum(nil)
}

// intake is a body, and what it must be.
type intake struct {
	body     io.Reader
	bytes    int64
	md5      []byte
	sums     objects.Checksums
	compute  []string
	verify   func() error
	computed func(objects.Checksums) error
}

type taken struct {
	bytes []byte
	etag  string
	sums  objects.Checksums
}

func (in intake) take() (taken, error) {
	if err := in.check(); err != nil {
		return taken{}, err
	}
	b, err := in.read()
	if err != nil {
		return taken{}, err
	}
	if in.verify != nil {
		if err := in.verify(); err != nil {
			return taken{}, err
		}
	}
	sum := md5.Sum(b)
	got := taken{bytes: b, etag: hex.EncodeToString(sum[:])}
	if in.md5 != nil && !bytes.Equal(in.md5, sum[:]) {
		return taken{}, objects.ErrDigest
	}
	for name := range hashes {
		if err := got.sum(name, in); err != nil {
			return taken{}, err
		}
	}
	if in.computed != nil {
		return got, in.computed(got.sums)
	}
	return got, nil
}

func (got *taken) sum(name string, in intake) error {
	want := in.sums.Get(name)
	asked := want != nil
	for _, c := range in.compute {
		asked = asked || c == name
	}
	if !asked {
		return nil
	}
	sum := sumOf(name, got.bytes)
	if want != nil && !bytes.Equal(want, sum) {
		return objects.ErrDigest
	}
	got.sums.Set(name, sum)
	return nil
}

func (in intake) check() error {
	for name, h := range hashes {
		if v := in.sums.Get(name); v != nil && len(v) != h().Size() {
			return &objects.InvalidError{Field: "checksum " + name, Reason: "wrong length"}
		}
	}
	for _, name := range in.compute {
		if name != "" && hashes[name] == nil {
			return &objects.InvalidError{Field: "checksum algorithm", Reason: "not known"}
		}
	}
	switch {
	case in.bytes < -1:
		return &objects.InvalidError{Field: "bytes", Reason: "negative"}
	case in.bytes > objects.PutBytesMax:
		return objects.ErrTooLarge
	case in.md5 != nil && len(in.md5) != md5.Size:
		return &objects.InvalidError{Field: "MD5", Reason: "wrong length"}
	}
	return nil
}

func (in intake) read() ([]byte, error) {
	if in.body == nil {
		in.body = bytes.NewReader(nil)
	}
	b, err := io.ReadAll(in.body)
	switch {
	case err == io.ErrUnexpectedEOF, err == nil && in.bytes > int64(len(b)):
		return nil, fmt.Errorf("%w: %w", objects.ErrIncompleteBody, io.ErrUnexpectedEOF)
	case err != nil:
		return nil, err
	case in.bytes >= 0 && in.bytes < int64(len(b)):
		return nil, &objects.InvalidError{Field: "body", Reason: "longer than declared"}
	}
	return b, nil
}

func checkAbout(contentType string, headers, metadata map[string]string) error {
	if len(contentType) > objects.ContentTypeBytesMax {
		return &objects.InvalidError{Field: "content type", Reason: "too long"}
	}
	if err := checkMap("headers", headers, objects.HeadersBytesMax); err != nil {
		return err
	}
	return checkMap("metadata", metadata, objects.MetadataBytesMax)
}

func checkMap(field string, m map[string]string, most int) error {
	for name, value := range m {
		if most -= len(name) + len(value); most < 0 || name == "" {
			return &objects.InvalidError{Field: field, Reason: "too large, or a name is empty"}
		}
	}
	return nil
}
