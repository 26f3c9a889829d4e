"""The logic behind the modules in library/: plain Python with no Ansible in it."""
