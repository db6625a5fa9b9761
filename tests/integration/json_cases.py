# SPDX-License-Identifier: MIT
"""JSON texts, and what RFC 8259 and we make of them.

Each case is a name, bytes, and what the bytes are: Y for a JSON text, N for
what is none. The few that the RFC leaves to us have I in their name. RAW has
the codes with which a case is answered that arrives on its own, where these are
not the usual ones: a text that is no request, or a parse error.
"""

Y, N = True, False
INVALID, PARSE = -32600, -32700


def _values():
    yield "true", b"true", Y
    yield "false", b"false", Y
    yield "null", b"null", Y
    yield "zero", b"0", Y
    yield "minus_zero", b"-0", Y
    yield "minus", b"-12", Y
    yield "fraction", b"12.5", Y
    yield "exponent", b"1e2", Y
    yield "exponent_upper", b"1E2", Y
    yield "exponent_plus", b"1e+2", Y
    yield "exponent_minus", b"1e-2", Y
    yield "exponent_zeros", b"1e007", Y
    yield "zero_exponent", b"0e1", Y
    yield "all_of_a_number", b"-0.5E-10", Y
    yield "I_beyond_double", b"1e400", Y
    yield "I_below_double", b"123.456e-789", Y
    yield "I_beyond_int64", b"100000000000000000000", Y
    yield "I_thousand_digits", b"1" * 1000, Y
    yield "I_huge_exponent", b"0.4e00669999999999999999999999999999999999999999999999999999", Y
    yield "leading_zero", b"01", N
    yield "minus_leading_zero", b"-01", N
    yield "double_zero", b"00", N
    yield "plus", b"+1", N
    yield "plus_plus", b"++1", N
    yield "minus_alone", b"-", N
    yield "minus_minus", b"--1", N
    yield "minus_space", b"- 1", N
    yield "point_first", b".5", N
    yield "point_last", b"1.", N
    yield "point_alone", b".", N
    yield "point_before_exponent", b"1.e1", N
    yield "two_points", b"1.2.3", N
    yield "exponent_empty", b"1e", N
    yield "exponent_sign_only", b"1e+", N
    yield "exponent_sign_twice", b"1e+-2", N
    yield "exponent_fraction", b"1e2.5", N
    yield "hexadecimal", b"0x10", N
    yield "number_and_letter", b"1a", N
    yield "number_underscore", b"1_000", N
    yield "fullwidth_digit", "１".encode(), N
    yield "NaN", b"NaN", N
    yield "minus_NaN", b"-NaN", N
    yield "Infinity", b"Infinity", N
    yield "minus_Infinity", b"-Infinity", N
    yield "inf", b"inf", N
    yield "True", b"True", N
    yield "TRUE", b"TRUE", N
    yield "nul", b"nul", N
    yield "nulll", b"nulll", N
    yield "truefalse", b"truefalse", N
    yield "undefined", b"undefined", N
    yield "bare_word", b"word", N
    yield "comment_block", b"/* no */1", N
    yield "comment_line", b"// no", N
    yield "comment_hash", b"# no", N
    yield "NUL", b"\0", N
    yield "vertical_tab", b"\v1", N
    yield "form_feed", b"\f1", N
    yield "no_break_space", "\u00a01".encode(), N
    yield "word_joiner", "\u20601".encode(), N
    yield "delete_character", b"\x7f", N


def _strings():
    yield "string_empty", b'""', Y
    yield "string_escapes", rb'"\"\\\/\b\f\n\r\t"', Y
    yield "string_unicode_escape", rb'"\u00e9\u20AC"', Y
    yield "string_surrogates", rb'"\ud83d\ude00"', Y
    yield "string_nul_escape", rb'"a\u0000b"', Y
    yield "string_two_bytes", '"é"'.encode(), Y
    yield "string_three_bytes", '"€"'.encode(), Y
    yield "string_four_bytes", '"😀"'.encode(), Y
    yield "string_last_code_point", '"\U0010ffff"'.encode(), Y
    yield "string_noncharacter", '"\uffff"'.encode(), Y
    yield "string_delete", b'"\x7f"', Y
    yield "string_line_separators", '"\u2028\u2029"'.encode(), Y
    yield "string_BOM_within", '"\ufeff"'.encode(), Y
    yield "string_comment", b'"/* fine */"', Y
    yield "I_lone_high_surrogate", rb'"\ud800"', Y
    yield "I_lone_low_surrogate", rb'"\udead"', Y
    yield "I_surrogates_reversed", rb'"\ude00\ud83d"', Y
    yield "I_high_surrogate_and_text", rb'"\ud800abc"', Y
    yield "string_apostrophes", b"'no'", N
    yield "string_backticks", b"`no`", N
    yield "string_open", b'"abc', N
    yield "string_open_escape", b'"abc\\', N
    yield "string_escape_quote_only", b'"\\"', N
    yield "string_escape_x", rb'"\x41"', N
    yield "string_escape_v", rb'"\v"', N
    yield "string_escape_a", rb'"\a"', N
    yield "string_escape_0", rb'"\0"', N
    yield "string_escape_apostrophe", rb'''"\'"''', N
    yield "string_escape_upper_U", rb'"\U0041"', N
    yield "string_escape_newline", b'"\\\n"', N
    yield "string_escape_emoji", b'"\\' + "😀".encode() + b'"', N
    yield "string_unicode_none", rb'"\u"', N
    yield "string_unicode_short", rb'"\u00e"', N
    yield "string_unicode_letter", rb'"\u00eg"', N
    yield "string_unicode_spaces", rb'"\u 041"', N
    yield "string_raw_newline", b'"a\nb"', N
    yield "string_raw_tab", b'"a\tb"', N
    yield "string_raw_return", b'"a\rb"', N
    yield "string_raw_nul", b'"a\0b"', N
    yield "string_raw_unit_separator", b'"a\x1fb"', N
    yield "utf8_lone_continuation", b'"\x80"', N
    yield "utf8_ff", b'"\xff"', N
    yield "utf8_fe", b'"\xfe"', N
    yield "utf8_overlong_two", b'"\xc0\xaf"', N
    yield "utf8_overlong_c1", b'"\xc1\xbf"', N
    yield "utf8_overlong_three", b'"\xe0\x80\xaf"', N
    yield "utf8_overlong_four", b'"\xf0\x80\x80\xaf"', N
    yield "utf8_surrogate", b'"\xed\xa0\x80"', N
    yield "utf8_beyond_the_last", b'"\xf4\x90\x80\x80"', N
    yield "utf8_f5", b'"\xf5\x80\x80\x80"', N
    yield "utf8_cut_two", b'"\xc3"', N
    yield "utf8_cut_three", b'"\xe2\x82"', N
    yield "utf8_cut_four", b'"\xf0\x9f\x98"', N
    yield "utf8_latin1", "é".encode("latin-1").join((b'"', b'"')), N
    yield "utf16", '"a"'.encode("utf-16-le"), N


def _containers():
    yield "array_empty", b"[]", Y
    yield "array_one", b"[1]", Y
    yield "array_of_all", b'[null,true,false,0,"",[],{}]', Y
    yield "array_spaces", b"[ \t\r\n1 \t\r\n, \t\r\n2 ]", Y
    yield "array_nested", b"[[[[]]]]", Y
    yield "object_empty", b"{}", Y
    yield "object_empty_name", b'{"":0}', Y
    yield "object_nested", b'{"a":{"b":{"c":[]}}}', Y
    yield "object_twice", b'{"a":1,"a":2}', Y
    yield "object_escaped_name", rb'{"\u0061":1}', Y
    yield "object_spaces", b'{ "a" : 1 , "b" : 2 }', Y
    yield "object_long_name", b'{"' + b"n" * 5000 + b'":1}', Y
    yield "array_open", b"[1", N
    yield "array_open_comma", b"[1,", N
    yield "array_comma_last", b"[1,]", N
    yield "array_comma_first", b"[,1]", N
    yield "array_comma_only", b"[,]", N
    yield "array_comma_twice", b"[1,,2]", N
    yield "array_no_comma", b"[1 2]", N
    yield "array_colon", b'["a":1]', N
    yield "array_semicolon", b"[1;2]", N
    yield "array_closed_by_brace", b"[1}", N
    yield "array_NaN", b"[NaN]", N
    yield "array_star", b"[*]", N
    yield "array_100000_open", b"[" * 100000, N
    yield "object_100000_open", b'{"":' * 100000, N
    yield "object_open", b"{", N
    yield "object_open_name", b'{"a"', N
    yield "object_open_colon", b'{"a":', N
    yield "object_open_value", b'{"a":1', N
    yield "object_no_value", b'{"a":}', N
    yield "object_no_colon", b'{"a" 1}', N
    yield "object_no_name", b"{:1}", N
    yield "object_comma_last", b'{"a":1,}', N
    yield "object_comma_first", b'{,"a":1}', N
    yield "object_comma_twice", b'{"a":1,,"b":2}', N
    yield "object_two_colons", b'{"a"::1}', N
    yield "object_bare_name", b"{a:1}", N
    yield "object_apostrophe_name", b"{'a':1}", N
    yield "object_number_name", b"{1:1}", N
    yield "object_null_name", b"{null:1}", N
    yield "object_array_name", b"{[]:1}", N
    yield "object_equals", b'{"a"=1}', N
    yield "object_closed_by_bracket", b'{"a":1]', N
    yield "object_comment", b'{"a":/* no */1}', N
    yield "object_names_only", b'{"a","b"}', N


# Alone these are something else than within a request.
def _alone():
    yield "BOM", b"\xef\xbb\xbf[]", [PARSE]
    yield "BOM_alone", b"\xef\xbb\xbf", [PARSE]
    yield "BOM_utf16", b"\xff\xfe[\0]\0", [PARSE]
    yield "closing_bracket", b"]", [PARSE]
    yield "closing_brace", b"}", [PARSE]
    yield "comma", b",", [PARSE]
    yield "colon", b":", [PARSE]
    yield "nothing", b"", []
    yield "white_space", b" \t\r\n \n", []
    yield "number_then_word", b"1 x", [INVALID, PARSE]
    yield "two_numbers", b"1 2", [INVALID, INVALID]
    yield "two_strings", b'"a""b"', [INVALID, INVALID]
    yield "array_then_bracket", b"[]]", [INVALID, PARSE]
    yield "object_then_brace", b"{}}", [INVALID, PARSE]
    yield "object_then_word", b"{}garbage", [INVALID, PARSE]
    yield "object_then_comment", b"{}// no", [INVALID, PARSE]
    yield "objects_with_comma", b"{},{}", [INVALID, PARSE]
    yield "objects_without_comma", b"{}{}", [INVALID, INVALID]
    yield "record_separator", b"\x1e{}", [PARSE]
    yield "http", b"GET / HTTP/1.1\r\n\r\n", [PARSE]


VALUES = [*_values(), *_strings(), *_containers()]
ALONE = list(_alone())
