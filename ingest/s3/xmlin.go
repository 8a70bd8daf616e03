package s3

import (
	"bytes"
	"crypto/md5"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/tarnlake/tarn/objects"
)

// readDocument reads and proves a body that is XML, to most bytes, and decodes
// it into v. An empty body leaves v alone and is reported.
func (c *call) readDocument(v any, most int64) (empty bool, err error) {
	b, err := c.readSmall(most)
	if err != nil || len(b) == 0 {
		return true, err
	}
	return false, decodeXML(b, v)
}

// readSmall reads and proves a body of at most that many bytes, its digests too.
func (c *call) readSmall(most int64) ([]byte, error) {
	b, err := c.readUnsummed(most)
	if err != nil {
		return nil, err
	}
	return b, c.checkDigests(b)
}

// readUnsummed leaves the digests out: CompleteMultipartUpload's speak of the
// object, not of its body.
func (c *call) readUnsummed(most int64) ([]byte, error) {
	if c.signed.Bytes > most {
		return nil, documentTooLarge(most)
	}
	b, err := io.ReadAll(io.LimitReader(c.body, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > most {
		return nil, documentTooLarge(most)
	}
	return b, c.body.Finish()
}

func documentTooLarge(most int64) *fault {
	return &fault{code: "MalformedXML", status: 400, message: fmt.Sprintf("The XML you provided is larger than the limit of %d bytes.", most)}
}

// checkDigests compares a small body with the digests that came with it.
func (c *call) checkDigests(b []byte) error {
	want, err := c.contentMD5()
	if err != nil {
		return err
	}
	if sum := md5.Sum(b); want != nil && !bytes.Equal(sum[:], want) {
		return fmt.Errorf("%w: Content-MD5", objects.ErrDigest)
	}
	sums, err := c.announced()
	if err != nil {
		return err
	}
	return sums.check(b, c.body.Trailers())
}

// decodeXML decodes one document. encoding/xml knows no entities beyond the five
// of XML, so that none can grow.
func decodeXML(b []byte, v any) error {
	if !utf8.Valid(b) {
		return malformedXML("it is not UTF-8")
	}
	d := xml.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(v); err != nil {
		return malformedXML(clip(err.Error()))
	}
	for {
		t, err := d.Token()
		switch t := t.(type) {
		case xml.StartElement:
			return malformedXML("a second document follows the first")
		case xml.CharData:
			if len(bytes.TrimSpace(t)) > 0 {
				return malformedXML("text follows the document")
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return malformedXML(clip(err.Error()))
		}
	}
}
