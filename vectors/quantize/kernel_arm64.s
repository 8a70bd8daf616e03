#include "textflag.h"

// The kernels need ASIMD, which every arm64 has that Go runs on.
//
// Go's assembler has no name for some instructions. They are given as words, the registers' numbers in the order in
// which Go writes operands, the destination last: m in bits 16 to 20, n in bits 5 to 9, d in bits 0 to 4.
//
//	fadd    vd.4s, vn.4s, vm.4s    0x4e20d400
//	fsub    vd.4s, vn.4s, vm.4s    0x4ea0d400
//	fmul    vd.4s, vn.4s, vm.4s    0x6e20dc00
//	fmax    vd.4s, vn.4s, vm.4s    0x4e20f400
//	fmin    vd.4s, vn.4s, vm.4s    0x4ea0f400
//	faddp   vd.4s, vn.4s, vm.4s    0x6e20d400
//	fcmgt   vd.4s, vn.4s, vm.4s    0x6ea0e400   vn > vm
//	fcmgt   vd.4s, vn.4s, #0       0x4ea0c800
//	fabs    vd.4s, vn.4s           0x4ea0f800
//	fmaxv   sd, vn.4s              0x6e30f800
//	fcvtns  vd.4s, vn.4s           0x4e21a800   to the nearest, halves to even
//	fcvtzs  vd.4s, vn.4s           0x4ea1b800
//	ucvtf   vd.4s, vn.4s           0x6e21d800
//	fcvtl   vd.2d, vn.2s           0x0e617800
//	fcvtl2  vd.2d, vn.4s           0x4e617800
//	fadd    vd.2d, vn.2d, vm.2d    0x4e60d400
//	faddp   dd, vn.2d              0x7e70d800
//	sqxtn   vd.4h, vn.4s           0x0e614800
//	sqxtn2  vd.8h, vn.4s           0x4e614800
//	sqxtn   vd.8b, vn.8h           0x0e214800
//	sqxtn2  vd.16b, vn.8h          0x4e214800
//	sqxtun  vd.8b, vn.8h           0x2e212800
//	sqxtun2 vd.16b, vn.8h          0x6e212800
//	sxtl    vd.8h, vn.8b           0x0f08a400
//	sxtl2   vd.8h, vn.16b          0x4f08a400
//	smlal   vd.4s, vn.4h, vm.4h    0x0e608000
//	smlal2  vd.4s, vn.8h, vm.8h    0x4e608000
#define FADD4(m, n, d) WORD $(0x4e20d400 | (m)<<16 | (n)<<5 | (d))
#define FSUB4(m, n, d) WORD $(0x4ea0d400 | (m)<<16 | (n)<<5 | (d))
#define FMUL4(m, n, d) WORD $(0x6e20dc00 | (m)<<16 | (n)<<5 | (d))
#define FMAX4(m, n, d) WORD $(0x4e20f400 | (m)<<16 | (n)<<5 | (d))
#define FMIN4(m, n, d) WORD $(0x4ea0f400 | (m)<<16 | (n)<<5 | (d))
#define FADDP4(m, n, d) WORD $(0x6e20d400 | (m)<<16 | (n)<<5 | (d))
#define FCMGT4(m, n, d) WORD $(0x6ea0e400 | (m)<<16 | (n)<<5 | (d))
#define FPOSITIVE4(n, d) WORD $(0x4ea0c800 | (n)<<5 | (d))
#define FABS4(n, d) WORD $(0x4ea0f800 | (n)<<5 | (d))
#define FMAXV4(n, d) WORD $(0x6e30f800 | (n)<<5 | (d))
#define FCVTNS4(n, d) WORD $(0x4e21a800 | (n)<<5 | (d))
#define FCVTZS4(n, d) WORD $(0x4ea1b800 | (n)<<5 | (d))
#define UCVTF4(n, d) WORD $(0x6e21d800 | (n)<<5 | (d))
#define FCVTL(n, d) WORD $(0x0e617800 | (n)<<5 | (d))
#define FCVTL2(n, d) WORD $(0x4e617800 | (n)<<5 | (d))
#define FADD2D(m, n, d) WORD $(0x4e60d400 | (m)<<16 | (n)<<5 | (d))
#define FADDPD(n, d) WORD $(0x7e70d800 | (n)<<5 | (d))
#define SQXTN4(n, d) WORD $(0x0e614800 | (n)<<5 | (d))
#define SQXTN24(n, d) WORD $(0x4e614800 | (n)<<5 | (d))
#define SQXTN8(n, d) WORD $(0x0e214800 | (n)<<5 | (d))
#define SQXTN28(n, d) WORD $(0x4e214800 | (n)<<5 | (d))
#define SQXTUN8(n, d) WORD $(0x2e212800 | (n)<<5 | (d))
#define SQXTUN28(n, d) WORD $(0x6e212800 | (n)<<5 | (d))
#define SXTL8(n, d) WORD $(0x0f08a400 | (n)<<5 | (d))
#define SXTL28(n, d) WORD $(0x4f08a400 | (n)<<5 | (d))
#define SMLAL4(m, n, d) WORD $(0x0e608000 | (m)<<16 | (n)<<5 | (d))
#define SMLAL24(m, n, d) WORD $(0x4e608000 | (m)<<16 | (n)<<5 | (d))

// Sign masks of the transform's first two stages, in which partners lie within one register.
DATA signs1<>+0(SB)/8, $0x8000000000000000
DATA signs1<>+8(SB)/8, $0x8000000000000000
GLOBL signs1<>(SB), RODATA, $16
DATA signs2<>+0(SB)/8, $0x0000000000000000
DATA signs2<>+8(SB)/8, $0x8000000080000000
GLOBL signs2<>(SB), RODATA, $16

// Which of four table entries that follow one another have bit 0, bit 1.
DATA bit0<>+0(SB)/8, $0xffffffff00000000
DATA bit0<>+8(SB)/8, $0xffffffff00000000
GLOBL bit0<>(SB), RODATA, $16
DATA bit1<>+0(SB)/8, $0x0000000000000000
DATA bit1<>+8(SB)/8, $0xffffffffffffffff
GLOBL bit1<>(SB), RODATA, $16

// A bit for each lane.
DATA lanes<>+0(SB)/8, $0x0000000200000001
DATA lanes<>+8(SB)/8, $0x0000000800000004
GLOBL lanes<>(SB), RODATA, $16

// func hadamardNEON(v *float32, n int)
TEXT ·hadamardNEON(SB), NOSPLIT, $0-16
	MOVD v+0(FP), R0
	MOVD n+8(FP), R1
	MOVD $signs1<>(SB), R2
	VLD1 (R2), [V30.B16]
	MOVD $signs2<>(SB), R2
	VLD1 (R2), [V31.B16]
	MOVD R0, R3
	MOVD R1, R4

within:
	VLD1 (R3), [V0.S4, V1.S4]
	VREV64 V0.S4, V2.S4
	VREV64 V1.S4, V3.S4
	VEOR V30.B16, V0.B16, V0.B16
	VEOR V30.B16, V1.B16, V1.B16
	FADD4(2, 0, 0)
	FADD4(3, 1, 1)
	VEXT $8, V0.B16, V0.B16, V2.B16
	VEXT $8, V1.B16, V1.B16, V3.B16
	VEOR V31.B16, V0.B16, V0.B16
	VEOR V31.B16, V1.B16, V1.B16
	FADD4(2, 0, 0)
	FADD4(3, 1, 1)
	FADD4(1, 0, 2) // partners four numbers apart
	FSUB4(1, 0, 3)
	VST1.P [V2.S4, V3.S4], 32(R3)
	SUBS $8, R4
	BNE  within

	LSL  $2, R1, R1 // bytes of v
	ADD  R0, R1, R5
	MOVD $32, R2    // bytes between partners

stage:
	CMP  R1, R2
	BGE  done
	MOVD R0, R3     // low partner

block:
	CMP  R5, R3
	BGE  staged
	ADD  R2, R3, R4
	MOVD R4, R6

pair:
	VLD1 (R3), [V0.S4, V1.S4]
	VLD1 (R4), [V2.S4, V3.S4]
	FADD4(2, 0, 4)
	FADD4(3, 1, 5)
	FSUB4(2, 0, 6)
	FSUB4(3, 1, 7)
	VST1.P [V4.S4, V5.S4], 32(R3)
	VST1.P [V6.S4, V7.S4], 32(R4)
	CMP  R6, R3
	BLT  pair
	MOVD R4, R3
	B    block

staged:
	LSL $1, R2, R2
	B   stage

done:
	RET

// func fillTableNEON(x *float32, n int, factor float32, table *byte)
TEXT ·fillTableNEON(SB), NOSPLIT, $0-32
	MOVD x+0(FP), R0
	MOVD n+8(FP), R1
	FMOVS factor+16(FP), F31
	MOVD table+24(FP), R2
	VDUP V31.S[0], V31.S4
	FMOVS $0.5, F30
	VDUP V30.S[0], V30.S4
	MOVD $bit0<>(SB), R3
	VLD1 (R3), [V29.B16]
	MOVD $bit1<>(SB), R3
	VLD1 (R3), [V28.B16]
	VEOR V27.B16, V27.B16, V27.B16

four:
	VLD1.P 16(R0), [V0.S4]
	FMUL4(31, 0, 0)
	FMIN4(27, 0, 1)
	FADDP4(1, 1, 1)
	FADDP4(1, 1, 1)
	FSUB4(1, 30, 1)       // a half less the least sum
	VDUP V0.S[0], V2.S4
	VDUP V0.S[1], V3.S4
	VDUP V0.S[2], V4.S4
	VDUP V0.S[3], V5.S4
	VAND V29.B16, V2.B16, V2.B16
	VAND V28.B16, V3.B16, V3.B16
	FADD4(3, 2, 2)
	FADD4(2, 1, 16)       // entries 0 to 3
	FADD4(4, 16, 17)      // 4 to 7
	FADD4(5, 16, 18)      // 8 to 11
	FADD4(5, 17, 19)      // 12 to 15
	FCVTZS4(16, 16)
	FCVTZS4(17, 17)
	FCVTZS4(18, 18)
	FCVTZS4(19, 19)
	SQXTN4(16, 20)
	SQXTN24(17, 20)
	SQXTN4(18, 21)
	SQXTN24(19, 21)
	SQXTUN8(20, 22)
	SQXTUN28(21, 22)
	VST1.P [V22.B16], 16(R2)
	SUBS $4, R1
	BNE  four
	RET

// FOURROWS ends the estimates of four rows whose sums are the low or high half of a register.
#define FOURROWS(WIDEN, half, sums) \
	WIDEN sums.half, V4.S4                     \
	UCVTF4(4, 4)                               \
	VORR V24.B16, V24.B16, V5.B16              \
	VFMLA V4.S4, V23.S4, V5.S4                 \
	VLD1.P 16(R0), [V6.S4]                     \
	VLD1.P 16(R5), [V7.S4]                     \
	VLD1.P 16(R6), [V16.S4]                    \
	VFMLA V5.S4, V7.S4, V6.S4                  \
	FADD4(25, 6, 6)                            \
	VFMLS V16.S4, V26.S4, V6.S4                \
	VST1.P [V6.S4], 16(R4)                     \
	FCMGT4(6, 27, 6)                           \
	VAND V28.B16, V6.B16, V6.B16               \
	VORR V6.B16, V29.B16, V29.B16              \
	VSHL $4, V28.S4, V28.S4

// func scanNEON(chunk, table *byte, steps int, s *scanning, out *[ChunkRows]float32) uint32
TEXT ·scanNEON(SB), NOSPLIT, $0-44
	MOVD chunk+0(FP), R0
	MOVD table+8(FP), R1
	MOVD steps+16(FP), R2
	MOVD s+24(FP), R3
	MOVD out+32(FP), R4
	VMOVI $15, V31.B16
	VEOR V0.B16, V0.B16, V0.B16 // rows 0 to 7
	VEOR V1.B16, V1.B16, V1.B16
	VEOR V2.B16, V2.B16, V2.B16 // rows 16 to 23
	VEOR V3.B16, V3.B16, V3.B16

step:
	VLD1.P 32(R0), [V4.B16, V5.B16]
	VLD1.P 32(R1), [V6.B16, V7.B16]
	VUSHR $4, V4.B16, V16.B16
	VUSHR $4, V5.B16, V17.B16
	VAND V31.B16, V4.B16, V4.B16
	VAND V31.B16, V5.B16, V5.B16
	VTBL V4.B16, [V6.B16], V4.B16
	VTBL V5.B16, [V7.B16], V5.B16
	VTBL V16.B16, [V6.B16], V16.B16
	VTBL V17.B16, [V7.B16], V17.B16
	VUADDW  V4.B8, V0.H8, V0.H8
	VUADDW2 V4.B16, V1.H8, V1.H8
	VUADDW  V16.B8, V2.H8, V2.H8
	VUADDW2 V16.B16, V3.H8, V3.H8
	VUADDW  V5.B8, V0.H8, V0.H8
	VUADDW2 V5.B16, V1.H8, V1.H8
	VUADDW  V17.B8, V2.H8, V2.H8
	VUADDW2 V17.B16, V3.H8, V3.H8
	SUBS $1, R2
	BNE  step

	ADD  $128, R0, R5 // mul
	ADD  $256, R0, R6 // err
	VLD1R.P 4(R3), [V23.S4] // scale
	VLD1R.P 4(R3), [V24.S4] // offset
	VLD1R.P 4(R3), [V25.S4] // base
	VLD1R.P 4(R3), [V26.S4] // width
	VLD1R.P 4(R3), [V27.S4] // limit
	MOVD $lanes<>(SB), R7
	VLD1 (R7), [V28.B16]
	VEOR V29.B16, V29.B16, V29.B16
	FOURROWS(VUXTL, H4, V0)
	FOURROWS(VUXTL2, H8, V0)
	FOURROWS(VUXTL, H4, V1)
	FOURROWS(VUXTL2, H8, V1)
	FOURROWS(VUXTL, H4, V2)
	FOURROWS(VUXTL2, H8, V2)
	FOURROWS(VUXTL, H4, V3)
	FOURROWS(VUXTL2, H8, V3)
	VADDV V29.S4, V29 // no two lanes have the same bit
	VMOV V29.S[0], R0
	MOVW R0, ret+40(FP)
	RET

// func dotWideNEON(row *int8, q *int16, n int) int32
TEXT ·dotWideNEON(SB), NOSPLIT, $0-28
	MOVD row+0(FP), R0
	MOVD q+8(FP), R1
	MOVD n+16(FP), R2
	VEOR V0.B16, V0.B16, V0.B16
	VEOR V1.B16, V1.B16, V1.B16
	VEOR V2.B16, V2.B16, V2.B16
	VEOR V3.B16, V3.B16, V3.B16

sixteen:
	VLD1.P 16(R0), [V4.B16]
	VLD1.P 32(R1), [V5.H8, V6.H8]
	SXTL8(4, 7)
	SXTL28(4, 16)
	SMLAL4(5, 7, 0)
	SMLAL24(5, 7, 1)
	SMLAL4(6, 16, 2)
	SMLAL24(6, 16, 3)
	SUBS $16, R2
	BNE  sixteen
	VADD V1.S4, V0.S4, V0.S4
	VADD V3.S4, V2.S4, V2.S4
	VADD V2.S4, V0.S4, V0.S4
	VADDV V0.S4, V0
	VMOV V0.S[0], R0
	MOVW R0, ret+24(FP)
	RET

// func measureNEON(x *float32, n int, out *spread)
TEXT ·measureNEON(SB), NOSPLIT, $0-24
	MOVD x+0(FP), R0
	MOVD n+8(FP), R1
	MOVD out+16(FP), R2
	VEOR V0.B16, V0.B16, V0.B16 // total
	VEOR V1.B16, V1.B16, V1.B16 // of sizes
	VEOR V2.B16, V2.B16, V2.B16 // most of sizes
	VEOR V3.B16, V3.B16, V3.B16 // most of sizes of four

eight:
	VLD1.P 32(R0), [V4.S4, V5.S4]
	FABS4(4, 6)
	FABS4(5, 7)
	FADD4(4, 0, 0)
	FADD4(5, 0, 0)
	FADD4(6, 1, 1)
	FADD4(7, 1, 1)
	FMAX4(6, 2, 2)
	FMAX4(7, 2, 2)
	FADDP4(7, 6, 6)
	FADDP4(6, 6, 6)
	FMAX4(6, 3, 3)
	SUBS $8, R1
	BNE  eight

	FADDP4(0, 0, 0)
	FADDP4(0, 0, 0)
	FADDP4(1, 1, 1)
	FADDP4(1, 1, 1)
	FMAXV4(2, 2)
	FMAXV4(3, 3)
	FMOVS F0, 0(R2)
	FMOVS F1, 4(R2)
	FMOVS F2, 8(R2)
	FMOVS F3, 12(R2)
	RET

// func roundWideNEON(x *float32, n int, factor float32, out *int16)
TEXT ·roundWideNEON(SB), NOSPLIT, $0-32
	MOVD x+0(FP), R0
	MOVD n+8(FP), R1
	FMOVS factor+16(FP), F31
	MOVD out+24(FP), R2
	VDUP V31.S[0], V31.S4

sixteen:
	VLD1.P 64(R0), [V0.S4, V1.S4, V2.S4, V3.S4]
	FMUL4(31, 0, 0)
	FMUL4(31, 1, 1)
	FMUL4(31, 2, 2)
	FMUL4(31, 3, 3)
	FCVTNS4(0, 0)
	FCVTNS4(1, 1)
	FCVTNS4(2, 2)
	FCVTNS4(3, 3)
	SQXTN4(0, 4)
	SQXTN24(1, 4)
	SQXTN4(2, 5)
	SQXTN24(3, 5)
	VST1.P [V4.H8, V5.H8], 32(R2)
	SUBS $16, R1
	BNE  sixteen
	RET

// func roundBytesNEON(x *float32, n int, factor float32, out *int8)
TEXT ·roundBytesNEON(SB), NOSPLIT, $0-32
	MOVD x+0(FP), R0
	MOVD n+8(FP), R1
	FMOVS factor+16(FP), F31
	MOVD out+24(FP), R2
	VDUP V31.S[0], V31.S4

sixteen:
	VLD1.P 64(R0), [V0.S4, V1.S4, V2.S4, V3.S4]
	FMUL4(31, 0, 0)
	FMUL4(31, 1, 1)
	FMUL4(31, 2, 2)
	FMUL4(31, 3, 3)
	FCVTNS4(0, 0)
	FCVTNS4(1, 1)
	FCVTNS4(2, 2)
	FCVTNS4(3, 3)
	SQXTN4(0, 4)
	SQXTN24(1, 4)
	SQXTN4(2, 5)
	SQXTN24(3, 5)
	SQXTN8(4, 6)
	SQXTN28(5, 6)
	VST1.P [V6.B16], 16(R2)
	SUBS $16, R1
	BNE  sixteen
	RET

// func flipNEON(v, factors *float32, n int)
TEXT ·flipNEON(SB), NOSPLIT, $0-24
	MOVD v+0(FP), R0
	MOVD factors+8(FP), R1
	MOVD n+16(FP), R2

sixteen:
	VLD1 (R0), [V0.S4, V1.S4, V2.S4, V3.S4]
	VLD1.P 64(R1), [V4.S4, V5.S4, V6.S4, V7.S4]
	FMUL4(4, 0, 0)
	FMUL4(5, 1, 1)
	FMUL4(6, 2, 2)
	FMUL4(7, 3, 3)
	VST1.P [V0.S4, V1.S4, V2.S4, V3.S4], 64(R0)
	SUBS $16, R2
	BNE  sixteen
	RET

// func turnNEON(v *float32, n int)
TEXT ·turnNEON(SB), NOSPLIT, $0-16
	MOVD v+0(FP), R0
	MOVD n+8(FP), R1
	ADD  R1<<1, R0, R2 // the high half

eight:
	VLD1 (R0), [V0.S4, V1.S4]
	VLD1 (R2), [V2.S4, V3.S4]
	FADD4(2, 0, 4)
	FADD4(3, 1, 5)
	FSUB4(2, 0, 6)
	FSUB4(3, 1, 7)
	VST1.P [V4.S4, V5.S4], 32(R0)
	VST1.P [V6.S4, V7.S4], 32(R2)
	SUBS $16, R1
	BNE  eight
	RET

// func weighNEON(y, c *float32, n int, scale, less float32, out *weights)
TEXT ·weighNEON(SB), NOSPLIT, $0-40
	MOVD y+0(FP), R0
	MOVD c+8(FP), R1
	MOVD n+16(FP), R2
	FMOVS scale+24(FP), F30
	FMOVS less+28(FP), F29
	MOVD out+32(FP), R3
	VDUP V30.S[0], V30.S4
	VDUP V29.S[0], V29.S4
	MOVD $0x80000000, R4
	VDUP R4, V31.S4             // the sign
	VEOR V28.B16, V28.B16, V28.B16 // most
	VEOR V16.B16, V16.B16, V16.B16 // sum
	VEOR V17.B16, V17.B16, V17.B16
	VEOR V18.B16, V18.B16, V18.B16 // signed
	VEOR V19.B16, V19.B16, V19.B16
	VEOR V20.B16, V20.B16, V20.B16 // square
	VEOR V21.B16, V21.B16, V21.B16

four:
	VLD1 (R0), [V0.S4]
	VLD1.P 16(R1), [V1.S4]
	FMUL4(30, 0, 0)
	FMUL4(29, 1, 2)
	FSUB4(2, 0, 0)
	VST1.P [V0.S4], 16(R0)
	FABS4(0, 2)
	FMAX4(2, 28, 28)
	FPOSITIVE4(0, 3)
	VAND V31.B16, V3.B16, V3.B16
	VEOR V3.B16, V31.B16, V3.B16 // the sign where it is not positive
	VEOR V3.B16, V1.B16, V1.B16
	FCVTL(2, 4)
	FCVTL2(2, 5)
	FADD2D(4, 16, 16)
	FADD2D(5, 17, 17)
	FCVTL(1, 4)
	FCVTL2(1, 5)
	FADD2D(4, 18, 18)
	FADD2D(5, 19, 19)
	FCVTL(0, 4)
	FCVTL2(0, 5)
	VFMLA V4.D2, V4.D2, V20.D2
	VFMLA V5.D2, V5.D2, V21.D2
	SUBS $4, R2
	BNE  four

	FADD2D(17, 16, 16)
	FADD2D(19, 18, 18)
	FADD2D(21, 20, 20)
	FADDPD(16, 16)
	FADDPD(18, 18)
	FADDPD(20, 20)
	FMAXV4(28, 28)
	FMOVD F16, 0(R3)
	FMOVD F18, 8(R3)
	FMOVD F20, 16(R3)
	FMOVS F28, 24(R3)
	RET

// func putSignsNEON(y *float32, n int, to *byte, shift int)
TEXT ·putSignsNEON(SB), NOSPLIT, $0-32
	MOVD y+0(FP), R0
	MOVD n+8(FP), R1
	MOVD to+16(FP), R2
	MOVD shift+24(FP), R3
	MOVD $lanes<>(SB), R4
	VLD1 (R4), [V31.B16]

four:
	VLD1.P 16(R0), [V0.S4]
	FPOSITIVE4(0, 0)
	VAND V31.B16, V0.B16, V0.B16
	VADDV V0.S4, V0
	VMOV V0.S[0], R4
	LSL  R3, R4, R4
	MOVBU (R2), R5
	ORR  R4, R5, R5
	MOVB R5, (R2)
	ADD  $16, R2
	SUBS $4, R1
	BNE  four
	RET

// func prefetchLines(p *byte, n int)
TEXT ·prefetchLines(SB), NOSPLIT, $0-16
	MOVD p+0(FP), R0
	MOVD n+8(FP), R1

line:
	PRFM (R0), PLDL1KEEP
	ADD  $64, R0
	SUBS $64, R1
	BGT  line
	RET
