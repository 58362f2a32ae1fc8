"""Call control: what applications ask of calls, and what they are told of them."""
