namespace havn::app {}
