"""What people do in a conversation besides asking: answer, repeat, leave, erase; and what is worked out for them."""
