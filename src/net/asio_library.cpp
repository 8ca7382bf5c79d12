// Asio's and its OpenSSL layer's bodies, compiled once (BOOST_ASIO_SEPARATE_COMPILATION): every
// other file here sees their declarations alone.
#include <boost/asio/impl/src.hpp>
#include <boost/asio/ssl/impl/src.hpp>
