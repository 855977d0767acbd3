#include "textflag.h"

// Sixteen messages lie beside each other, one in each 32-bit lane of a register.
// Z0 to Z7 are the variables a to h of FIPS 180-4, 6.2.2, of all sixteen; Z16 to Z31
// the sixteen words of the message schedule at hand; Z8 to Z15 are for what is between.

// flip turns the bytes of each word round.
DATA flip<>+0x00(SB)/8, $0x0405060700010203
DATA flip<>+0x08(SB)/8, $0x0c0d0e0f08090a0b
GLOBL flip<>(SB), RODATA|NOPTR, $16

// LOAD takes the next lane's block into r: R9 goes from lane to lane.
#define LOAD(r) \
	VMOVDQU32 (R9), r \
	VPSHUFB Z15, r, r \
	ADDQ DX, R9

// QUAD turns four rows of words into four columns, in each quarter of the register.
#define QUAD(a, b, c, d) \
	VPUNPCKLDQ b, a, Z8 \
	VPUNPCKHDQ b, a, Z9 \
	VPUNPCKLDQ d, c, Z10 \
	VPUNPCKHDQ d, c, Z11 \
	VPUNPCKLQDQ Z10, Z8, a \
	VPUNPCKHQDQ Z10, Z8, b \
	VPUNPCKLQDQ Z11, Z9, c \
	VPUNPCKHQDQ Z11, Z9, d

// QUARTERS turns four rows of quarters into four columns.
#define QUARTERS(a, b, c, d) \
	VSHUFI32X4 $0x88, b, a, Z8 \
	VSHUFI32X4 $0xdd, b, a, Z9 \
	VSHUFI32X4 $0x88, d, c, Z10 \
	VSHUFI32X4 $0xdd, d, c, Z11 \
	VSHUFI32X4 $0x88, Z10, Z8, a \
	VSHUFI32X4 $0x88, Z11, Z9, b \
	VSHUFI32X4 $0xdd, Z10, Z8, c \
	VSHUFI32X4 $0xdd, Z11, Z9, d

// ROUND is one round with the word w and the constant at AX + k. The truth tables:
// 0x96 is x ⊕ y ⊕ z, 0xca is Ch, 0xe8 is Maj.
#define ROUND(a, b, c, d, e, f, g, h, w, k) \
	VPADDD.BCST k(AX), w, Z8 \
	VPRORD $6, e, Z9 \
	VPRORD $11, e, Z10 \
	VPRORD $25, e, Z11 \
	VPADDD Z8, h, h \
	VMOVDQA32 e, Z12 \
	VPTERNLOGD $0xca, g, f, Z12 \
	VPTERNLOGD $0x96, Z10, Z11, Z9 \
	VPADDD Z12, h, h \
	VPRORD $2, a, Z13 \
	VPRORD $13, a, Z10 \
	VPRORD $22, a, Z11 \
	VPADDD Z9, h, h \
	VMOVDQA32 a, Z12 \
	VPTERNLOGD $0xe8, c, b, Z12 \
	VPTERNLOGD $0x96, Z10, Z11, Z13 \
	VPADDD h, d, d \
	VPADDD Z12, h, h \
	VPADDD Z13, h, h

// WORD makes of the word w0 the one sixteen places on.
#define WORD(w0, w1, w9, w14) \
	VPRORD $7, w1, Z8 \
	VPRORD $18, w1, Z9 \
	VPSRLD $3, w1, Z10 \
	VPRORD $17, w14, Z11 \
	VPRORD $19, w14, Z12 \
	VPSRLD $10, w14, Z13 \
	VPADDD w9, w0, w0 \
	VPTERNLOGD $0x96, Z9, Z10, Z8 \
	VPTERNLOGD $0x96, Z12, Z13, Z11 \
	VPADDD Z8, w0, w0 \
	VPADDD Z11, w0, w0

// FORWARD adds what stood in the state's row to r, and puts it there.
#define FORWARD(r, row) \
	VPADDD row(DI), r, r \
	VMOVDQU32 r, row(DI)

// func compress(s *state, k *[64]uint32, data *byte, stride, blocks uint64)
TEXT ·compress(SB), NOSPLIT, $0-40
	MOVQ s+0(FP), DI
	MOVQ k+8(FP), R10
	MOVQ data+16(FP), SI
	MOVQ stride+24(FP), DX
	MOVQ blocks+32(FP), CX
	VMOVDQU32 0(DI), Z0
	VMOVDQU32 64(DI), Z1
	VMOVDQU32 128(DI), Z2
	VMOVDQU32 192(DI), Z3
	VMOVDQU32 256(DI), Z4
	VMOVDQU32 320(DI), Z5
	VMOVDQU32 384(DI), Z6
	VMOVDQU32 448(DI), Z7

block:
	VBROADCASTI32X4 flip<>(SB), Z15
	MOVQ SI, R9
	LOAD(Z16)
	LOAD(Z17)
	LOAD(Z18)
	LOAD(Z19)
	LOAD(Z20)
	LOAD(Z21)
	LOAD(Z22)
	LOAD(Z23)
	LOAD(Z24)
	LOAD(Z25)
	LOAD(Z26)
	LOAD(Z27)
	LOAD(Z28)
	LOAD(Z29)
	LOAD(Z30)
	LOAD(Z31)
	ADDQ $64, SI
	QUAD(Z16, Z17, Z18, Z19)
	QUAD(Z20, Z21, Z22, Z23)
	QUAD(Z24, Z25, Z26, Z27)
	QUAD(Z28, Z29, Z30, Z31)
	QUARTERS(Z16, Z20, Z24, Z28)
	QUARTERS(Z17, Z21, Z25, Z29)
	QUARTERS(Z18, Z22, Z26, Z30)
	QUARTERS(Z19, Z23, Z27, Z31)

	MOVQ R10, AX
	MOVQ $3, BX

rounds:
	ROUND(Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z16, 0)
	ROUND(Z7, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z17, 4)
	ROUND(Z6, Z7, Z0, Z1, Z2, Z3, Z4, Z5, Z18, 8)
	ROUND(Z5, Z6, Z7, Z0, Z1, Z2, Z3, Z4, Z19, 12)
	ROUND(Z4, Z5, Z6, Z7, Z0, Z1, Z2, Z3, Z20, 16)
	ROUND(Z3, Z4, Z5, Z6, Z7, Z0, Z1, Z2, Z21, 20)
	ROUND(Z2, Z3, Z4, Z5, Z6, Z7, Z0, Z1, Z22, 24)
	ROUND(Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z0, Z23, 28)
	ROUND(Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z24, 32)
	ROUND(Z7, Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z25, 36)
	ROUND(Z6, Z7, Z0, Z1, Z2, Z3, Z4, Z5, Z26, 40)
	ROUND(Z5, Z6, Z7, Z0, Z1, Z2, Z3, Z4, Z27, 44)
	ROUND(Z4, Z5, Z6, Z7, Z0, Z1, Z2, Z3, Z28, 48)
	ROUND(Z3, Z4, Z5, Z6, Z7, Z0, Z1, Z2, Z29, 52)
	ROUND(Z2, Z3, Z4, Z5, Z6, Z7, Z0, Z1, Z30, 56)
	ROUND(Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z0, Z31, 60)
	SUBQ $1, BX
	JB done // all 64 rounds

	ADDQ $64, AX
	WORD(Z16, Z17, Z25, Z30)
	WORD(Z17, Z18, Z26, Z31)
	WORD(Z18, Z19, Z27, Z16)
	WORD(Z19, Z20, Z28, Z17)
	WORD(Z20, Z21, Z29, Z18)
	WORD(Z21, Z22, Z30, Z19)
	WORD(Z22, Z23, Z31, Z20)
	WORD(Z23, Z24, Z16, Z21)
	WORD(Z24, Z25, Z17, Z22)
	WORD(Z25, Z26, Z18, Z23)
	WORD(Z26, Z27, Z19, Z24)
	WORD(Z27, Z28, Z20, Z25)
	WORD(Z28, Z29, Z21, Z26)
	WORD(Z29, Z30, Z22, Z27)
	WORD(Z30, Z31, Z23, Z28)
	WORD(Z31, Z16, Z24, Z29)
	JMP rounds

done:
	FORWARD(Z0, 0)
	FORWARD(Z1, 64)
	FORWARD(Z2, 128)
	FORWARD(Z3, 192)
	FORWARD(Z4, 256)
	FORWARD(Z5, 320)
	FORWARD(Z6, 384)
	FORWARD(Z7, 448)
	SUBQ $1, CX
	JNE block
	VZEROUPPER
	RET
