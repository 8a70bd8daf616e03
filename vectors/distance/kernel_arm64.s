#include "textflag.h"

// The kernels need ASIMD, which every arm64 has that Go runs on. One-row kernels keep four sums of four lanes, four-row
// kernels two sums a row, so that the additions do not wait for each other; what is left over after the last four floats is
// added one at a time.
//
// Go's assembler has no name for some instructions. They are given as words, the registers' numbers in the order in
// which Go writes operands, the destination last:
//
//	fadd  vd.4s, vn.4s, vm.4s   0x4e20d400
//	fsub  vd.4s, vn.4s, vm.4s   0x4ea0d400
//	faddp vd.4s, vn.4s, vm.4s   0x6e20d400
//
// with m in bits 16 to 20, n in bits 5 to 9, d in bits 0 to 4.
#define FADD4(m, n, d) WORD $(0x4e20d400 | (m)<<16 | (n)<<5 | (d))
#define FSUB4(m, n, d) WORD $(0x4ea0d400 | (m)<<16 | (n)<<5 | (d))
#define FADDP4(m, n, d) WORD $(0x6e20d400 | (m)<<16 | (n)<<5 | (d))

// func dotNEON(a, b *float32, n int) float32
TEXT ·dotNEON(SB), NOSPLIT, $0-28
	MOVD a+0(FP), R0
	MOVD b+8(FP), R1
	MOVD n+16(FP), R2
	VEOR V0.B16, V0.B16, V0.B16
	VEOR V1.B16, V1.B16, V1.B16
	VEOR V2.B16, V2.B16, V2.B16
	VEOR V3.B16, V3.B16, V3.B16

lanes16:
	CMP  $16, R2
	BLT  lanes4
	VLD1.P 64(R0), [V4.S4, V5.S4, V6.S4, V7.S4]
	VLD1.P 64(R1), [V16.S4, V17.S4, V18.S4, V19.S4]
	VFMLA V4.S4, V16.S4, V0.S4
	VFMLA V5.S4, V17.S4, V1.S4
	VFMLA V6.S4, V18.S4, V2.S4
	VFMLA V7.S4, V19.S4, V3.S4
	SUB  $16, R2
	B    lanes16

lanes4:
	CMP  $4, R2
	BLT  reduce
	VLD1.P 16(R0), [V4.S4]
	VLD1.P 16(R1), [V16.S4]
	VFMLA V4.S4, V16.S4, V0.S4
	SUB  $4, R2
	B    lanes4

reduce:
	FADD4(1, 0, 0)
	FADD4(3, 2, 2)
	FADD4(2, 0, 0)
	FADDP4(0, 0, 0)
	FADDP4(0, 0, 0)

single:
	CBZ  R2, done
	FMOVS.P 4(R0), F4
	FMOVS.P 4(R1), F5
	FMADDS F4, F0, F5, F0
	SUB  $1, R2
	B    single

done:
	FMOVS F0, ret+24(FP)
	RET

// func l2NEON(a, b *float32, n int) float32
TEXT ·l2NEON(SB), NOSPLIT, $0-28
	MOVD a+0(FP), R0
	MOVD b+8(FP), R1
	MOVD n+16(FP), R2
	VEOR V0.B16, V0.B16, V0.B16
	VEOR V1.B16, V1.B16, V1.B16
	VEOR V2.B16, V2.B16, V2.B16
	VEOR V3.B16, V3.B16, V3.B16

lanes16:
	CMP  $16, R2
	BLT  lanes4
	VLD1.P 64(R0), [V4.S4, V5.S4, V6.S4, V7.S4]
	VLD1.P 64(R1), [V16.S4, V17.S4, V18.S4, V19.S4]
	FSUB4(16, 4, 4)
	FSUB4(17, 5, 5)
	FSUB4(18, 6, 6)
	FSUB4(19, 7, 7)
	VFMLA V4.S4, V4.S4, V0.S4
	VFMLA V5.S4, V5.S4, V1.S4
	VFMLA V6.S4, V6.S4, V2.S4
	VFMLA V7.S4, V7.S4, V3.S4
	SUB  $16, R2
	B    lanes16

lanes4:
	CMP  $4, R2
	BLT  reduce
	VLD1.P 16(R0), [V4.S4]
	VLD1.P 16(R1), [V16.S4]
	FSUB4(16, 4, 4)
	VFMLA V4.S4, V4.S4, V0.S4
	SUB  $4, R2
	B    lanes4

reduce:
	FADD4(1, 0, 0)
	FADD4(3, 2, 2)
	FADD4(2, 0, 0)
	FADDP4(0, 0, 0)
	FADDP4(0, 0, 0)

single:
	CBZ  R2, done
	FMOVS.P 4(R0), F4
	FMOVS.P 4(R1), F5
	FSUBS F5, F4, F4
	FMADDS F4, F0, F4, F0
	SUB  $1, R2
	B    single

done:
	FMOVS F0, ret+24(FP)
	RET

// func dot4NEON(q, rows *float32, n int, out *[4]float32)
TEXT ·dot4NEON(SB), NOSPLIT, $0-32
	MOVD q+0(FP), R0
	MOVD rows+8(FP), R1
	MOVD n+16(FP), R2
	MOVD out+24(FP), R7
	ADD  R2<<2, R1, R3
	ADD  R2<<2, R3, R4
	ADD  R2<<2, R4, R5
	VEOR V0.B16, V0.B16, V0.B16
	VEOR V1.B16, V1.B16, V1.B16
	VEOR V2.B16, V2.B16, V2.B16
	VEOR V3.B16, V3.B16, V3.B16
	VEOR V4.B16, V4.B16, V4.B16
	VEOR V5.B16, V5.B16, V5.B16
	VEOR V6.B16, V6.B16, V6.B16
	VEOR V7.B16, V7.B16, V7.B16

lanes8:
	CMP  $8, R2
	BLT  lanes4
	VLD1.P 32(R0), [V8.S4, V9.S4]
	VLD1.P 32(R1), [V16.S4, V17.S4]
	VLD1.P 32(R3), [V18.S4, V19.S4]
	VLD1.P 32(R4), [V20.S4, V21.S4]
	VLD1.P 32(R5), [V22.S4, V23.S4]
	VFMLA V16.S4, V8.S4, V0.S4
	VFMLA V17.S4, V9.S4, V4.S4
	VFMLA V18.S4, V8.S4, V1.S4
	VFMLA V19.S4, V9.S4, V5.S4
	VFMLA V20.S4, V8.S4, V2.S4
	VFMLA V21.S4, V9.S4, V6.S4
	VFMLA V22.S4, V8.S4, V3.S4
	VFMLA V23.S4, V9.S4, V7.S4
	SUB  $8, R2
	B    lanes8

lanes4:
	CMP  $4, R2
	BLT  reduce
	VLD1.P 16(R0), [V8.S4]
	VLD1.P 16(R1), [V16.S4]
	VLD1.P 16(R3), [V17.S4]
	VLD1.P 16(R4), [V18.S4]
	VLD1.P 16(R5), [V19.S4]
	VFMLA V16.S4, V8.S4, V0.S4
	VFMLA V17.S4, V8.S4, V1.S4
	VFMLA V18.S4, V8.S4, V2.S4
	VFMLA V19.S4, V8.S4, V3.S4
	SUB  $4, R2

reduce:
	FADD4(4, 0, 0)
	FADD4(5, 1, 1)
	FADD4(6, 2, 2)
	FADD4(7, 3, 3)
	FADDP4(1, 0, 0)
	FADDP4(3, 2, 2)
	FADDP4(2, 0, 0) // a lane a row

single:
	CBZ  R2, done
	VLD1R.P 4(R0), [V8.S4]
	VLD1.P 4(R1), V16.S[0]
	VLD1.P 4(R3), V16.S[1]
	VLD1.P 4(R4), V16.S[2]
	VLD1.P 4(R5), V16.S[3]
	VFMLA V16.S4, V8.S4, V0.S4
	SUB  $1, R2
	B    single

done:
	VST1 [V0.S4], (R7)
	RET

// func l24NEON(q, rows *float32, n int, out *[4]float32)
TEXT ·l24NEON(SB), NOSPLIT, $0-32
	MOVD q+0(FP), R0
	MOVD rows+8(FP), R1
	MOVD n+16(FP), R2
	MOVD out+24(FP), R7
	ADD  R2<<2, R1, R3
	ADD  R2<<2, R3, R4
	ADD  R2<<2, R4, R5
	VEOR V0.B16, V0.B16, V0.B16
	VEOR V1.B16, V1.B16, V1.B16
	VEOR V2.B16, V2.B16, V2.B16
	VEOR V3.B16, V3.B16, V3.B16
	VEOR V4.B16, V4.B16, V4.B16
	VEOR V5.B16, V5.B16, V5.B16
	VEOR V6.B16, V6.B16, V6.B16
	VEOR V7.B16, V7.B16, V7.B16

lanes8:
	CMP  $8, R2
	BLT  lanes4
	VLD1.P 32(R0), [V8.S4, V9.S4]
	VLD1.P 32(R1), [V16.S4, V17.S4]
	VLD1.P 32(R3), [V18.S4, V19.S4]
	VLD1.P 32(R4), [V20.S4, V21.S4]
	VLD1.P 32(R5), [V22.S4, V23.S4]
	FSUB4(16, 8, 16)
	FSUB4(17, 9, 17)
	FSUB4(18, 8, 18)
	FSUB4(19, 9, 19)
	FSUB4(20, 8, 20)
	FSUB4(21, 9, 21)
	FSUB4(22, 8, 22)
	FSUB4(23, 9, 23)
	VFMLA V16.S4, V16.S4, V0.S4
	VFMLA V17.S4, V17.S4, V4.S4
	VFMLA V18.S4, V18.S4, V1.S4
	VFMLA V19.S4, V19.S4, V5.S4
	VFMLA V20.S4, V20.S4, V2.S4
	VFMLA V21.S4, V21.S4, V6.S4
	VFMLA V22.S4, V22.S4, V3.S4
	VFMLA V23.S4, V23.S4, V7.S4
	SUB  $8, R2
	B    lanes8

lanes4:
	CMP  $4, R2
	BLT  reduce
	VLD1.P 16(R0), [V8.S4]
	VLD1.P 16(R1), [V16.S4]
	VLD1.P 16(R3), [V17.S4]
	VLD1.P 16(R4), [V18.S4]
	VLD1.P 16(R5), [V19.S4]
	FSUB4(16, 8, 16)
	VFMLA V16.S4, V16.S4, V0.S4
	FSUB4(17, 8, 17)
	VFMLA V17.S4, V17.S4, V1.S4
	FSUB4(18, 8, 18)
	VFMLA V18.S4, V18.S4, V2.S4
	FSUB4(19, 8, 19)
	VFMLA V19.S4, V19.S4, V3.S4
	SUB  $4, R2

reduce:
	FADD4(4, 0, 0)
	FADD4(5, 1, 1)
	FADD4(6, 2, 2)
	FADD4(7, 3, 3)
	FADDP4(1, 0, 0)
	FADDP4(3, 2, 2)
	FADDP4(2, 0, 0) // a lane a row

single:
	CBZ  R2, done
	VLD1R.P 4(R0), [V8.S4]
	VLD1.P 4(R1), V16.S[0]
	VLD1.P 4(R3), V16.S[1]
	VLD1.P 4(R4), V16.S[2]
	VLD1.P 4(R5), V16.S[3]
	FSUB4(16, 8, 16)
	VFMLA V16.S4, V16.S4, V0.S4
	SUB  $1, R2
	B    single

done:
	VST1 [V0.S4], (R7)
	RET
