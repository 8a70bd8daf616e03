package drive_test

import (
	"context"
	"fmt"

	"github.com/tarnlake/tarn/host/hosttest"
	"github.com/tarnlake/tarn/objects/drive"
)

func Example() {
	ctx, h := context.Background(), hosttest.New(1)
	if err := drive.Format(h, "drive-1", drive.Header{Drive: drive.ID{1}, Number: 1}); err != nil {
		panic(err)
	}
	d, err := drive.Open(h, "drive-1", drive.Options{})
	if err != nil {
		panic(err)
	}
	defer d.Close()
	who := drive.Identity{Stripe: [16]byte{7}}
	at, err := d.Append(ctx, drive.Small, []drive.Record{{Identity: who, Payload: []byte("a tarn is a mountain lake")}})
	if err != nil {
		panic(err)
	}
	p := make([]byte, 13)
	if err := d.Read(ctx, at[0], who, p, 12); err != nil {
		panic(err)
	}
	fmt.Printf("%s\n", p)
	// Output: mountain lake
}
