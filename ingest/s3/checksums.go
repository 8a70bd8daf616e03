package s3

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/tarnlake/tarn/objects"
)

const checksumPrefix = "x-amz-checksum-"

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	nvme       = crc64.MakeTable(0x9a6c9329ac4bc9b5) // CRC-64/NVME, reflected
)

// algorithms of checksums, as headers, elements and the store name them.
var algorithms = []struct {
	name    string // the store's, and the header's after its prefix
	word    string // in x-amz-checksum-algorithm
	element string
	header  string
	bytes   int
	make    func() hash.Hash
}{
	{objects.CRC32, "CRC32", "ChecksumCRC32", "X-Amz-Checksum-Crc32", 4, func() hash.Hash { return crc32.NewIEEE() }},
	{objects.CRC32C, "CRC32C", "ChecksumCRC32C", "X-Amz-Checksum-Crc32c", 4, func() hash.Hash { return crc32.New(castagnoli) }},
	{objects.CRC64NVME, "CRC64NVME", "ChecksumCRC64NVME", "X-Amz-Checksum-Crc64nvme", 8, func() hash.Hash { return crc64.New(nvme) }},
	{objects.SHA1, "SHA1", "ChecksumSHA1", "X-Amz-Checksum-Sha1", 20, sha1.New},
	{objects.SHA256, "SHA256", "ChecksumSHA256", "X-Amz-Checksum-Sha256", 32, sha256.New},
}

// expected is what a request says of its body's checksums.
type expected struct {
	given   objects.Checksums
	compute string // an algorithm whose value is not in a header
	trailer string // the trailer that will carry it; empty: the server's value stands
}

// announced reads x-amz-checksum-*, x-amz-trailer and x-amz-sdk-checksum-algorithm.
func (c *call) announced() (expected, error) {
	var e expected
	for _, a := range algorithms {
		value := c.header(a.header)
		if value == "" {
			continue
		}
		if e.compute != "" {
			return e, invalidRequest("Expecting a single x-amz-checksum- header. Multiple checksum types are not allowed.")
		}
		sum, err := decodeChecksum(value, a.bytes)
		if err != nil {
			return e, invalidRequest("Value for %s%s header is invalid.", checksumPrefix, a.name)
		}
		e.given.Set(a.name, sum)
		e.compute = a.name
	}
	if err := e.addTrailer(c); err != nil {
		return e, err
	}
	return e, e.addWish(c.header("X-Amz-Sdk-Checksum-Algorithm"))
}

func (e *expected) addTrailer(c *call) error {
	name := strings.ToLower(strings.TrimSpace(c.header("X-Amz-Trailer")))
	if name == "" {
		return nil
	}
	short, ok := strings.CutPrefix(name, checksumPrefix)
	if !ok || !knownAlgorithm(short) {
		return invalidRequest("The value specified in the x-amz-trailer header is not supported")
	}
	if e.compute != "" {
		return invalidRequest("Expecting a single x-amz-checksum- header. Multiple checksum types are not allowed.")
	}
	e.compute, e.trailer = short, name
	return nil
}

// addWish takes an algorithm that was named without a value.
func (e *expected) addWish(word string) error {
	if word == "" {
		return nil
	}
	name := strings.ToLower(word)
	if !knownAlgorithm(name) {
		return invalidRequest("Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]")
	}
	if e.compute != "" && e.compute != name {
		return invalidRequest("Value for x-amz-sdk-checksum-algorithm header is invalid.")
	}
	e.compute = name
	return nil
}

func knownAlgorithm(name string) bool {
	for _, a := range algorithms {
		if a.name == name {
			return true
		}
	}
	return false
}

func decodeChecksum(value string, size int) ([]byte, error) {
	sum, err := base64.StdEncoding.DecodeString(value)
	if err == nil && len(sum) != size {
		err = fmt.Errorf("checksum of %d bytes, not %d", len(sum), size)
	}
	return sum, err
}

// compare proves that the trailer carries what the store computed.
func (e *expected) compare(got objects.Checksums, trailers http.Header) error {
	if e.trailer == "" {
		return nil
	}
	values := trailers.Values(e.trailer)
	if len(values) != 1 {
		return &fault{code: "MalformedTrailerError", status: 400, message: "The trailer " + e.trailer + " was announced and did not come once."}
	}
	computed := got.Get(e.compute)
	want, err := decodeChecksum(values[0], len(computed))
	if err != nil {
		return invalidRequest("Value for %s trailing header is invalid.", e.trailer)
	}
	if !bytes.Equal(want, computed) {
		return fmt.Errorf("%w: %s", objects.ErrDigest, e.trailer)
	}
	return nil
}

// check proves a small body.
func (e *expected) check(b []byte, trailers http.Header) error {
	for _, a := range algorithms {
		if a.name != e.compute {
			continue
		}
		h := a.make()
		h.Write(b)
		var got objects.Checksums
		got.Set(a.name, h.Sum(nil))
		if want := e.given.Get(a.name); want != nil && !bytes.Equal(want, got.Get(a.name)) {
			return fmt.Errorf("%w: %s", objects.ErrDigest, a.header)
		}
		return e.compare(got, trailers)
	}
	return nil
}

// sumOf is a checksum by its name. Unlike Checksums.Get it takes no memory, five
// times an object in every listing.
func sumOf(c *objects.Checksums, name string) []byte {
	switch name {
	case objects.CRC32:
		return c.CRC32
	case objects.CRC32C:
		return c.CRC32C
	case objects.CRC64NVME:
		return c.CRC64NVME
	case objects.SHA1:
		return c.SHA1
	case objects.SHA256:
		return c.SHA256
	}
	return nil
}

// checksumText is a checksum as clients see it; of a multipart object's parts
// with their number.
func checksumText(sum []byte, composite bool, parts int) string {
	text := base64.StdEncoding.EncodeToString(sum)
	if composite {
		text += "-" + strconv.Itoa(parts)
	}
	return text
}

// checksumHeaders tells the checksums of an object or part.
func (c *call) checksumHeaders(sums objects.Checksums, parts int) {
	found := false
	for _, a := range algorithms {
		if sum := sumOf(&sums, a.name); sum != nil {
			c.w.Header()[a.header] = []string{checksumText(sum, sums.Composite, parts)}
			found = true
		}
	}
	if found {
		c.w.Header()["X-Amz-Checksum-Type"] = []string{checksumType(sums)}
	}
}

func checksumType(sums objects.Checksums) string {
	if sums.Composite {
		return objects.ChecksumComposite
	}
	return objects.ChecksumFullObject
}

func (x *xmlWriter) checksums(sums objects.Checksums, parts int) (found bool) {
	for _, a := range algorithms {
		if sum := sumOf(&sums, a.name); sum != nil {
			x.text(a.element, checksumText(sum, sums.Composite, parts))
			found = true
		}
	}
	return found
}

// algorithmWord is the name of an algorithm in headers and documents.
func algorithmWord(name string) string { return strings.ToUpper(name) }

// checksumWords reads x-amz-checksum-algorithm and x-amz-checksum-type.
func (c *call) checksumWords() (algorithm, kind string, err error) {
	algorithm = strings.ToLower(c.header("X-Amz-Checksum-Algorithm"))
	if algorithm != "" && !knownAlgorithm(algorithm) {
		return "", "", invalidRequest("Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]")
	}
	kind = strings.ToUpper(c.header("X-Amz-Checksum-Type"))
	if kind != "" && !slices.Contains([]string{objects.ChecksumComposite, objects.ChecksumFullObject}, kind) {
		return "", "", invalidRequest("Value for x-amz-checksum-type header is invalid.")
	}
	switch {
	case kind != "" && algorithm == "":
		return "", "", invalidRequest("The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.")
	case kind == objects.ChecksumFullObject && (algorithm == objects.SHA1 || algorithm == objects.SHA256),
		kind == objects.ChecksumComposite && algorithm == objects.CRC64NVME:
		return "", "", invalidRequest("The %s checksum type cannot be used with the %s checksum algorithm.", kind, algorithmWord(algorithm))
	}
	return algorithm, kind, nil
}
