//! Tests of reading, judging oddities, editing and printing.
