package s3vectors

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
)

// A page token is the name after which the next page begins, with a sum over it
// and the listing it belongs to, so that a token that was cut, typed or taken from
// another listing is refused rather than read as some place:
//
//	0  4  CRC-32C of listing, a zero byte and name; big endian
//	4  …  name
//
// in base64url without padding. A token does not expire.

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func tokenOf(listing, name string) string {
	b := binary.BigEndian.AppendUint32(nil, tokenSum(listing, name))
	return base64.RawURLEncoding.EncodeToString(append(b, name...))
}

func tokenSum(listing, name string) uint32 {
	return crc32.Checksum([]byte(listing+"\x00"+name), castagnoli)
}

// openToken returns the name in a token; an empty token begins a listing.
func openToken(listing, token string, most int) (string, error) {
	if token == "" {
		return "", nil
	}
	if len(token) > most {
		return "", invalid("nextToken", "has %d characters, the most is %d", len(token), most)
	}
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(b) < 5 || binary.BigEndian.Uint32(b) != tokenSum(listing, string(b[4:])) {
		return "", invalid("nextToken", "is not one that this listing returned")
	}
	return string(b[4:]), nil
}
