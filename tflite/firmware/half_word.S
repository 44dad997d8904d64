/* Comes first of what is aligned to two bytes (board.ld.in), and moves it: what began at a word begins in the middle of one. */
#ifdef __arm__
  .syntax unified
  .thumb
#endif
  .section .text.0, "ax"
  .balign 2
  .global half_word
half_word:
  nop
