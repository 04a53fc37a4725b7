from netfed.cli import main

main()
