package objects

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
	"slices"
)

// The checksum algorithms, as PutRequest.ComputeChecksum names them.
const (
	CRC32     = "crc32"
	CRC32C    = "crc32c"
	CRC64NVME = "crc64nvme"
	SHA1      = "sha1"
	SHA256    = "sha256"
)

// checksumAlgorithms in the order of their bits in a record.
var checksumAlgorithms = [...]struct {
	name  string
	bytes int
	make  func() hash.Hash
	of    func(*Checksums) *[]byte
}{
	{CRC32, 4, func() hash.Hash { return crc32.NewIEEE() }, func(c *Checksums) *[]byte { return &c.CRC32 }},
	{CRC32C, 4, func() hash.Hash { return crc32.New(castagnoli) }, func(c *Checksums) *[]byte { return &c.CRC32C }},
	{CRC64NVME, 8, func() hash.Hash { return crc64.New(nvme) }, func(c *Checksums) *[]byte { return &c.CRC64NVME }},
	{SHA1, 20, sha1.New, func(c *Checksums) *[]byte { return &c.SHA1 }},
	{SHA256, 32, sha256.New, func(c *Checksums) *[]byte { return &c.SHA256 }},
}

// nvmePolynomial is CRC-64/NVME's, reflected.
const nvmePolynomial = 0x9a6c9329ac4bc9b5

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	nvme       = crc64.MakeTable(nvmePolynomial)
)

func knownChecksum(name string) bool {
	for _, a := range checksumAlgorithms {
		if a.name == name {
			return true
		}
	}
	return false
}

// Get is the value for an algorithm; nil where there is none.
func (c Checksums) Get(name string) []byte {
	for _, a := range checksumAlgorithms {
		if a.name == name {
			return *a.of(&c)
		}
	}
	return nil
}

// Set gives an algorithm its value. An unknown name is ignored.
func (c *Checksums) Set(name string, sum []byte) {
	for _, a := range checksumAlgorithms {
		if a.name == name {
			*a.of(c) = sum
		}
	}
}

// check refuses values that cannot be those of their algorithm.
func (c Checksums) check() error {
	for _, a := range checksumAlgorithms {
		if v := *a.of(&c); v != nil && len(v) != a.bytes {
			return &InvalidError{Field: "checksum " + a.name, Reason: fmt.Sprintf("has %d bytes, not %d", len(v), a.bytes)}
		}
	}
	return nil
}

// digest reads a body once and sums it up in all the ways that were asked for.
type digest struct {
	body  io.Reader
	limit int64 // declared size, or -1
	most  int64 // allowed size
	bytes int64
	ended bool
	md5   hash.Hash
	sums  [len(checksumAlgorithms)]hash.Hash // nil where not asked for
}

// newDigest computes the MD5, the checksums that want has, and those named.
func newDigest(body io.Reader, size, most int64, want Checksums, compute ...string) *digest {
	d := &digest{body: body, limit: size, most: most, md5: md5.New()}
	for i, a := range checksumAlgorithms {
		if *a.of(&want) != nil || slices.Contains(compute, a.name) {
			d.sums[i] = a.make()
		}
	}
	return d
}

// Read implements io.Reader. It ends with io.EOF only where the declared size was met.
func (d *digest) Read(p []byte) (int, error) {
	n, err := d.body.Read(p)
	d.bytes += int64(n)
	if over := d.overrun(); over != nil {
		return 0, over
	}
	d.md5.Write(p[:n])
	for _, h := range d.sums {
		if h != nil {
			h.Write(p[:n])
		}
	}
	switch {
	case err == io.EOF && d.limit >= 0 && d.bytes < d.limit:
		return n, fmt.Errorf("%w: %d of %d bytes came", ErrIncompleteBody, d.bytes, d.limit)
	case err == io.EOF:
		d.ended = true
	case err == io.ErrUnexpectedEOF:
		return n, fmt.Errorf("%w after %d bytes: %w", ErrIncompleteBody, d.bytes, err)
	}
	return n, err
}

func (d *digest) overrun() error {
	switch {
	case d.limit >= 0 && d.bytes > d.limit:
		return &InvalidError{Field: "body", Reason: fmt.Sprintf("is longer than the %d bytes that were declared", d.limit)}
	case d.bytes > d.most:
		return fmt.Errorf("%w: body above %d bytes", ErrTooLarge, d.most)
	}
	return nil
}

// drain reads on to the body's end, which a reader that counts bytes may not
// have seen: only there does a chunked body's last signature stand.
func (d *digest) drain() error {
	if d.ended {
		return nil
	}
	_, err := io.Copy(io.Discard, d)
	return err
}

// etag is the MD5 in hex.
func (d *digest) etag() string { return hex.EncodeToString(d.md5.Sum(nil)) }

// checksums are those computed.
func (d *digest) checksums() Checksums {
	var c Checksums
	for i, a := range checksumAlgorithms {
		if d.sums[i] != nil {
			*a.of(&c) = d.sums[i].Sum(nil)
		}
	}
	return c
}

// verify compares with what the client said.
func (d *digest) verify(md5sum []byte, want Checksums) error {
	if md5sum != nil && !bytes.Equal(md5sum, d.md5.Sum(nil)) {
		return fmt.Errorf("%w: MD5", ErrDigest)
	}
	return want.agree(d.checksums())
}

// agree reports as ErrDigest the first value of c that got has otherwise.
func (c Checksums) agree(got Checksums) error {
	for _, a := range checksumAlgorithms {
		if w := *a.of(&c); w != nil && !bytes.Equal(w, *a.of(&got)) {
			return fmt.Errorf("%w: %s", ErrDigest, a.name)
		}
	}
	return nil
}

// Checksum types of multipart uploads.
const (
	ChecksumComposite  = "COMPOSITE"   // checksum of the parts' checksums
	ChecksumFullObject = "FULL_OBJECT" // checksum of the object's bytes
)

// compositeSum is the checksum of the parts' checksums.
func compositeSum(name string, parts []Checksums) []byte {
	for _, a := range checksumAlgorithms {
		if a.name != name {
			continue
		}
		h := a.make()
		for i := range parts {
			h.Write(*a.of(&parts[i]))
		}
		return h.Sum(nil)
	}
	return nil
}
