"""The tests of melody_logs: behaviour, over HTTP and on real servers wherever there is one."""
