/* proof_stream.h: the headers of HLS projects and their test benches, for many projects in one unit of C++.
 *
 * hls::stream keeps its beats in a std::deque, from which a compiler makes eighty functions for every type of beat: two
 * thirds of all that a unit of streaming projects has.  Here its place is taken by a queue whose work is not a
 * template. All else of hls::stream is what it was; projects that are compiled each by itself have the deque.
 */
#ifndef TESTS_PROOF_STREAM_H
#define TESTS_PROOF_STREAM_H

#include <cstdio>
#include <cstring>
#include <cxxabi.h>
#include <fstream>
#include <iostream>
#include <queue>
#include <sstream>
#include <string>
#include <typeinfo>

#include "ap_int.h"

struct proof_bytes {
    std::string bytes;
    std::size_t first;
    proof_bytes() : first(0) {}
    void push(const void *from, std::size_t n) { bytes.append(static_cast<const char *>(from), n); }
    void pop(std::size_t n)
    {
        first += n;
        if (first == bytes.size()) {
            bytes.clear();
            first = 0;
        }
    }
};

namespace std
{
/* Of types without pointers, as beats are. */
template <class T> class proof_deque
{
    proof_bytes data;

  public:
    bool empty() const { return data.bytes.empty(); }
    size_t size() const { return (data.bytes.size() - data.first) / sizeof(T); }
    T front() const
    {
        T value;
        memcpy(static_cast<void *>(&value), &data.bytes[data.first], sizeof value);
        return value;
    }
    void push_back(const T &value) { data.push(&value, sizeof value); }
    void pop_front() { data.pop(sizeof(T)); }
};
} // namespace std

/* Another name, for linking with projects that have the real one. */
#define hls   proof_hls
#define deque proof_deque
#include "hls_stream.h"
#undef deque

#endif
