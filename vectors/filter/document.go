package filter

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"unsafe"
)

// A Document is packed metadata. The nil Document has no fields. Its bytes, with
// lengths as unsigned varints:
//
//	version        1 byte: 1
//	fields         varint; then for each, in the order of the JSON:
//	  name         varint length, bytes
//	  values       varint of 2·n, or 2·n+1 where the JSON had an array
//	  each value   1 byte kind: 1 string (varint length, bytes), 2 number (8 bytes
//	               float64 little endian), 3 false, 4 true
type Document []byte

const documentVersion = 1

// ErrDocument: bytes that are no Document.
var ErrDocument = errors.New("filter: malformed document")

// Limits on metadata, as S3 Vectors has them.
const (
	MetadataBytesMax   = 40 << 10 // of the JSON, in all
	FilterableBytesMax = 2 << 10  // of the names and values that can be filtered on
	FieldsMax          = 50
	ElementsMax        = 1024 // of one array
)

// Pack checks metadata and packs those of its fields that keep says; nil keeps all.
// Empty metadata is a nil Document.
func Pack(metadata []byte, keep func(name string) bool) (Document, error) {
	if len(metadata) == 0 {
		return nil, nil
	}
	if len(metadata) > MetadataBytesMax {
		return nil, fail("", "has %d bytes, more than %d", len(metadata), MetadataBytesMax)
	}
	fields, err := members(metadata, "")
	if err != nil {
		return nil, err
	}
	if len(fields) > FieldsMax {
		return nil, fail("", "has %d keys, more than %d", len(fields), FieldsMax)
	}
	return pack(fields, keep)
}

func pack(fields []member, keep func(string) bool) (Document, error) {
	var body []byte
	n, filterable := 0, 0
	for _, f := range fields {
		values, array, err := fieldValues(f)
		if err != nil {
			return nil, err
		}
		if keep != nil && !keep(f.name) {
			continue
		}
		n, filterable = n+1, filterable+len(f.name)+size(values)
		body = appendField(body, f.name, values, array)
	}
	if filterable > FilterableBytesMax {
		return nil, fail("", "has %d bytes that can be filtered on, more than %d", filterable, FilterableBytesMax)
	}
	if n == 0 {
		return nil, nil
	}
	return append(binary.AppendUvarint([]byte{documentVersion}, uint64(n)), body...), nil
}

func size(values []value) int {
	n := 0
	for _, v := range values {
		switch v.kind {
		case kindString:
			n += len(v.text)
		case kindNumber:
			n += 8
		default:
			n++
		}
	}
	return n
}

func fieldValues(f member) (values []value, array bool, err error) {
	if f.name == "" {
		return nil, false, fail("", "a key is empty")
	}
	if first(f.raw) != '[' {
		v, err := scalar(f.raw, join("", f.name))
		return []value{v}, false, err
	}
	list, err := elements(f.raw, join("", f.name))
	if err != nil {
		return nil, true, err
	}
	if len(list) > ElementsMax {
		return nil, true, fail(join("", f.name), "has %d elements, more than %d", len(list), ElementsMax)
	}
	return scalars(list, join("", f.name))
}

func scalars(list []json.RawMessage, path string) ([]value, bool, error) {
	values := make([]value, len(list))
	for i, raw := range list {
		v, err := scalar(raw, path)
		if err != nil {
			return nil, true, err
		}
		values[i] = v
	}
	return values, true, nil
}

func appendField(b []byte, name string, values []value, array bool) []byte {
	b = appendText(b, name)
	count := uint64(2 * len(values))
	if array {
		count++
	}
	b = binary.AppendUvarint(b, count)
	for _, v := range values {
		b = append(b, byte(v.kind))
		switch v.kind {
		case kindString:
			b = appendText(b, v.text)
		case kindNumber:
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v.number))
		}
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// Check reports whether every byte of d is as the table above says. Match on a
// Document that was never checked is safe, but may answer anything.
func (d Document) Check() error {
	if len(d) == 0 {
		return nil
	}
	c := cursor{rest: d}
	if c.one() != documentVersion {
		return ErrDocument
	}
	fields := c.varint()
	for i := uint64(0); i < fields && !c.bad; i++ {
		c.text()
		for n := c.varint() / 2; n > 0 && !c.bad; n-- {
			c.value()
		}
	}
	if c.bad || len(c.rest) != 0 {
		return ErrDocument
	}
	return nil
}

// field finds a field's values: a cursor that stands before the first of n.
func (d Document) field(name string) (c cursor, n uint64, found bool) {
	if len(d) == 0 {
		return c, 0, false
	}
	c = cursor{rest: d[1:]}
	for fields := c.varint(); fields > 0 && !c.bad; fields-- {
		hit := c.text() == name
		n = c.varint() / 2
		if hit {
			return c, n, !c.bad
		}
		for ; n > 0 && !c.bad; n-- {
			c.skip()
		}
	}
	return c, 0, false
}

// cursor reads packed bytes; once something did not fit, bad stays set.
type cursor struct {
	rest []byte
	bad  bool
}

func (c *cursor) take(n uint64) []byte {
	if n > uint64(len(c.rest)) {
		c.bad, c.rest = true, nil
		return nil
	}
	b := c.rest[:n]
	c.rest = c.rest[n:]
	return b
}

func (c *cursor) one() byte {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) varint() uint64 {
	v, n := binary.Uvarint(c.rest)
	if n <= 0 {
		c.bad, c.rest = true, nil
		return 0
	}
	c.rest = c.rest[n:]
	return v
}

// text shares the document's bytes, which never change.
func (c *cursor) text() string {
	b := c.take(c.varint())
	if len(b) == 0 {
		return ""
	}
	return unsafe.String(&b[0], len(b))
}

func (c *cursor) value() value {
	v := value{kind: kind(c.one())}
	switch v.kind {
	case kindString:
		v.text = c.text()
	case kindNumber:
		if b := c.take(8); b != nil {
			v.number = math.Float64frombits(binary.LittleEndian.Uint64(b))
		}
	case kindFalse, kindTrue:
	default:
		c.bad = true
	}
	return v
}

func (c *cursor) skip() { c.value() }
